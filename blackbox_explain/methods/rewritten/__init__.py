"""Methods that change how a gradient passes the operators: guided backpropagation, DeConvNet, excitation, LRP."""
