"""One model, two syntaxes: files become a frozen Config or every problem at once, each with its line.

`model/` says what options there are and is their reference; `yaml_syntax` and `cfg_syntax` turn text into one
tree; `load` reads that tree into the model.
"""
