"""Rules of Metal that C++ does not have and that the text alone shows."""

import re
from collections.abc import Iterator

# Plain words, and what is wrong with each.
WORDS = {
    "an address space or a function kind of Metal without its macro": (
        "device constant threadgroup thread kernel vertex fragment"
    ),
    "a type that Metal lacks": "double wchar_t __int128",
    "not in Metal's C++": (
        "asm __asm __asm__ catch delete dynamic_cast extern goto new noexcept "
        "register static std thread_local throw try typeid virtual"
    ),
}
PATTERNS = {
    "a type that Metal lacks": r"\blong\s+(?:int\s+)?long\b",
    "a derived class": r"\b(?:struct|class)\s+\w+\s*:(?!:)",
    "a lambda": r"(?:[=(,;{}?:]|\breturn)\s*\[[^\[\]]*\]\s*[({]",
    "an attribute without its macro": r"\[\[|__attribute__",
    "a pragma without its macro": r"_Pragma|#\s*pragma(?!\s+once\b)",
    "an include": r"#\s*(?:include|import)\b",
    "a number that is double elsewhere: write f behind it": (
        r"(?<![\w.])(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?(?![\w.])"
    ),
}
SPACES = r"\b(?:DEVICE|CONSTANT|THREADGROUP|THREAD)\b"
QUALIFIERS = (
    r"(?:\b(?:const|volatile|DEVICE|CONSTANT|THREADGROUP|THREAD)\b\s*)*"
)
BUILTIN_TYPES = (
    "auto|void|bool|char|uchar|short|ushort|int|uint|long|ulong|float|half|"
    "bfloat"
)


def forbidden(text: str) -> list[str]:
    """What breaks a rule, as "line: rule: text", in the order of the lines."""
    found = [
        (match.start(), "not ASCII", match[0])
        for match in re.finditer(r"[^\x00-\x7f]+", text)
    ]
    code = without_comments(text)
    for rule, words in WORDS.items():
        pattern = rf"\b(?:{'|'.join(words.split())})\b"
        found += matches(rule, pattern, code)
    for rule, pattern in PATTERNS.items():
        found += matches(rule, pattern, code)
    found += unqualified(code)
    found += recursions(code)
    found += buffers(code)
    return [
        f"{line_of(text, at)}: {rule}: {' '.join(shown.split())}"
        for at, rule, shown in sorted(found)
    ]


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def without_comments(text: str) -> str:
    """Comments and the insides of strings as blanks, at the same places."""
    return re.sub(
        r'//[^\n]*|/\*.*?\*/|(?<=")(?:\\.|[^"\\\n])+(?=")',
        lambda match: re.sub(r"[^\n]", " ", match[0]),
        text,
        flags=re.DOTALL,
    )


def matches(
    rule: str, pattern: str, code: str
) -> Iterator[tuple[int, str, str]]:
    for match in re.finditer(pattern, code):
        yield match.start(), rule, match[0]


def unqualified(code: str) -> Iterator[tuple[int, str, str]]:
    """Pointers, references and array parameters without an address space.

    A type's name in front of * or & never begins a product or a conjunction.
    """
    declared = re.findall(
        r"\b(?:struct|class|union|enum|typename|using)\s+(\w+)", code
    )
    names = "|".join(["CT_T", BUILTIN_TYPES, *declared])
    vectors = r"(?:u?int|u?short|u?char|u?long|float|half|bfloat)[234]"
    a_type = (
        rf"\b(?:{names}|{vectors}|simdgroup_matrix)\b"
        r"(?:\s*<[^<>;(){}]*>)?"
    )
    declarator = rf"({QUALIFIERS}){a_type}\s*({QUALIFIERS})"
    for match in re.finditer(rf"{declarator}([*&][\s*&]*)", code):
        levels = match[3].count("*") + match[3].count("&")
        if levels > 1 or not re.search(SPACES, match[1] + match[2]):
            rule = "a pointer or reference without address space"
            yield match.start(), rule, match[0]
    for match in re.finditer(rf"[(,]\s*{declarator}\w+\s*\[", code):
        yield match.start(), "an array as a parameter", match[0][1:]


def recursions(code: str) -> Iterator[tuple[int, str, str]]:
    """Functions that reach themselves, by name: overloads are one function."""
    places: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for match in re.finditer(r"\b(\w+)\s*\(", code):
        body = re.compile(r"\s*\{").match(code, closing(code, match.end() - 1))
        if body and match[1] not in ("if", "for", "while", "switch"):
            inside = code[body.end() : closing(code, body.end() - 1)]
            places.setdefault(match[1], match.start())
            calls.setdefault(match[1], set()).update(re.findall(r"\w+", inside))
    for name, at in places.items():
        reached: set[str] = set()
        pending = [name]
        while pending:
            new = (calls[pending.pop()] & calls.keys()) - reached
            reached |= new
            pending += new
        if name in reached:
            yield at, "a function that calls itself", name


def closing(code: str, at: int) -> int:
    """The place behind the bracket that closes the one at a place."""
    opening, closed = {"(": "()", "{": "{}"}[code[at]]
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] == opening) - (code[i] == closed)
        if depth == 0:
            return i + 1
    return len(code)


def buffers(code: str) -> Iterator[tuple[int, str, str]]:
    """Buffers of a kernel that are not numbered 0, 1, ... in their order."""
    for match in re.finditer(r"\bKERNEL\s*\(", code):
        head = code[match.start() : code.find("{", match.end())]
        numbers = re.findall(r"\bBUFFER\s*\(\s*(\w+)\s*\)", head)
        if numbers != [str(i) for i in range(len(numbers))]:
            rule = "buffers not numbered from 0 in their order"
            yield match.start(), rule, ", ".join(numbers)
