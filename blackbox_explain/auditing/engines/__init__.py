"""What runs an audit: this process, or many on a Ray cluster; the rows are the same."""
