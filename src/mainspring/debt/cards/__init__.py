"""Cards of models and sheets of data: what is owed to those who must trust them.

Read :mod:`facts` first (what a card is made of), then :mod:`sections` (what stands in it).
:mod:`markdown` and :mod:`sagemaker` write it out; :mod:`datasheet` does for data what
``sections`` does for models. What a person must fill is said in :mod:`mainspring.ground.cards`.
"""
