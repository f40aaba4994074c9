"""From the steps' outputs to what people read: reconciled, drawn, described."""
