"""What runs told: values, slots, and which configs are best."""
