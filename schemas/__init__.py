"""What clients and operators may say, and what they are answered."""
