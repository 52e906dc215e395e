"""The two published networks, UNet and SE-UNet, in Keras 3."""
