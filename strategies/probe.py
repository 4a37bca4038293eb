"""Questions and texts of our own writing that have nothing to do with any client's task.

What a model knew of them before it was tuned and no longer knows after is what tuning has cost it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """With the right answer first."""

    text: str
    answers: tuple[str, ...]


QUESTIONS = tuple(
    Question(text, answers)
    for text, answers in {
        "What is the capital of France?": ("Paris", "Rome", "Madrid", "Vienna"),
        "What is the capital of Japan?": ("Tokyo", "Beijing", "Seoul", "Bangkok"),
        "Which planet do we live on?": ("Earth", "Mars", "Venus", "Saturn"),
        "What colour is fresh snow?": ("White", "Green", "Black", "Purple"),
        "How many legs does a spider have?": ("Eight", "Two", "Four", "Twelve"),
        "How many days are there in a week?": ("Seven", "Five", "Nine", "Twelve"),
        "What is two plus three?": ("Five", "Four", "Seven", "Nine"),
        "What is ten minus four?": ("Six", "Three", "Eight", "Eleven"),
        "Which month comes after March?": ("April", "June", "February", "October"),
        "Which season is the coldest?": ("Winter", "Summer", "Spring", "Autumn"),
        "What do bees make?": ("Honey", "Milk", "Wool", "Paper"),
        "What do we breathe?": ("Air", "Sand", "Oil", "Iron"),
        "Which animal barks?": ("Dog", "Cat", "Cow", "Fish"),
        "Which of these is a fruit?": ("Apple", "Table", "Stone", "Hammer"),
        "Where do fish live?": ("In water", "In trees", "In the sky", "In books"),
        "What is the opposite of hot?": ("Cold", "Loud", "Tall", "Sweet"),
        "What is the opposite of early?": ("Late", "Round", "Heavy", "Bright"),
        "What is the plural of child?": ("Children", "Childs", "Childes", "Child"),
        "Which word means the same as big?": ("Large", "Tiny", "Quick", "Empty"),
        "Who writes books?": ("An author", "A baker", "A driver", "A plumber"),
        "Where does one borrow books?": ("At a library", "At a bakery", "At a garage", "At a bank"),
        "What does a doctor do?": ("Treats the sick", "Repairs cars", "Bakes bread", "Paints walls"),
        "What is needed to open a locked door?": ("A key", "A spoon", "A pillow", "A carrot"),
        "What happens to ice in the sun?": ("It melts", "It burns", "It sings", "It grows"),
        "Which is heavier?": ("A car", "A feather", "A coin", "A letter"),
        "Which language is spoken in Brazil?": ("Portuguese", "Japanese", "Greek", "Swedish"),
        "Which ocean lies between Europe and America?": ("The Atlantic", "The Pacific", "The Indian", "The Arctic"),
        "What pulls things towards the ground?": ("Gravity", "Music", "Colour", "Smell"),
        "What does a thermometer measure?": ("Temperature", "Weight", "Length", "Price"),
        "Which of these is made of wood?": ("A log", "A window pane", "A coin", "A cloud"),
        "What do you do with an umbrella?": ("Keep off the rain", "Cut bread", "Write letters", "Tell the time"),
        "How many wheels has a bicycle?": ("Two", "Six", "Nine", "Ten"),
    }.items()
)

SHOWN = (
    ("What do hens lay?", "Eggs"),
    ("Which star is nearest to us?", "The sun"),
    ("Where does one wear a hat?", "On the head"),
)
"""Asked and answered before each question: else a model that answers in sentences would seem to know more once it is
tuned on short answers of any kind."""

REQUEST = "Write a few sentences."
TEXTS = (
    "The train left the station a few minutes late. Most of the passengers were on their way to work, and nobody spoke "
    "much. Outside, the fields were still wet from the rain of the night.",
    "To boil an egg, put it into a pan of cold water and bring the water to a boil. After about eight minutes take the "
    "egg out, cool it under running water, and peel it.",
    "The museum is open every day except Monday. Tickets can be bought at the entrance or in advance on the website. "
    "Children under six do not pay.",
    "She looked out of the window and saw that her brother had already started to dig. He wanted to plant three apple "
    "trees before the winter, and the ground was getting harder each week.",
    "A good report begins with its result. Whoever has little time can stop reading after the first paragraph and "
    "still know what to do; whoever doubts it finds the reasons below.",
    "Water freezes at zero degrees. As it freezes it expands, which is why ice floats and why bottles burst when they "
    "are left in the freezer for too long.",
    "The town council met on Tuesday to discuss the new bridge. Some members thought that it would cost too much, "
    "while others said that the old one could not be repaired any more.",
    "My grandfather was a carpenter and had a small workshop behind the house. On Saturdays we were allowed to help, "
    "and in the evening there was cake for everyone.",
)
