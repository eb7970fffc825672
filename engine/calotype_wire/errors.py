"""The one error that a user may see."""


class CalotypeError(Exception):
    """code: a word in capitals, for programs. sentence: what went wrong and what to do about it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
