"""What the losses and the diagnosis cost, in time and memory.

``make bench`` runs this; the ordinary tests do not. The losses race beside torch's own and the
published algorithms; whether they meet their goals stands in the table that the run writes into
the book.
"""
