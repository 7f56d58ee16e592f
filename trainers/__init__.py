"""Programs that teach, one a stage, installed as `tinybert_tf.trainers`.

An editable installation finds this folder only because this file is here.
"""
