"""What adapters share: how a model was described, how it has to be asked, which output holds the class scores."""
