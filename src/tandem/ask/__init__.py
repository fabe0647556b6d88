"""Ask a served model one question, from the control node, through SSH."""
