class Ww:
    pass
