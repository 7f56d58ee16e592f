"""What the programs in trainers/ and tflite/ share."""
