// Before anything is painted: the theme that was chosen in this browser, else the system's.
"use strict";
{
  const themes = ["system", "light", "dark"];
  const signs = { system: "◐", light: "☀", dark: "☾" };
  const read = () => (themes.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "system");
  const apply = () => {
    const theme = read();
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = signs[theme];
  };
  apply();
  addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      localStorage.setItem("theme", themes[(themes.indexOf(read()) + 1) % themes.length]);
      apply();
    });
  });
}
