"""Network interfaces as sysfs and ethtool show them."""
