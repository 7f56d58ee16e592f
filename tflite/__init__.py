"""Programs that deploy a student, installed as `tinybert_tf.tflite`.

An editable installation finds this folder only because this file is here.
"""
