"""make_opcodes.py: writes opcode_tables.cpp from the opcode tables of CPython 2.7 and 3.6 to 3.14,
as the package xdis (6.1 or later, pip install xdis) has them. Run again when a version is added."""
from pathlib import Path

from xdis.op_imports import op_imports

VERSIONS = ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
KINDS = {
    "LOAD_CONST": "load_const", "LOAD_CONST_IMMORTAL": "load_const", "LOAD_SMALL_INT": "load_small_int", "RETURN_CONST": "other_keeps",
    "LOAD_NAME": "load_name", "LOAD_GLOBAL": "load_global",
    "LOAD_FAST": "load_fast", "LOAD_FAST_CHECK": "load_fast", "LOAD_FAST_BORROW": "load_fast", "LOAD_FAST_AND_CLEAR": "load_fast",
    "LOAD_FAST_LOAD_FAST": "load_fast_twice", "LOAD_FAST_BORROW_LOAD_FAST_BORROW": "load_fast_twice",
    "LOAD_DEREF": "load_deref", "LOAD_CLASSDEREF": "load_deref", "LOAD_CLOSURE": "load_deref",
    "LOAD_ATTR": "load_attr", "LOAD_METHOD": "load_method",
    "IMPORT_NAME": "import_name", "IMPORT_FROM": "import_from", "IMPORT_STAR": "pop",
    "STORE_NAME": "store_name", "STORE_GLOBAL": "store_name", "STORE_FAST": "store_fast", "STORE_DEREF": "pop",
    "POP_TOP": "pop", "POP_ITER": "pop",
    "RETURN_VALUE": "pop", "DUP_TOP": "duplicate",
    "CALL_FUNCTION": "call_function", "CALL_METHOD": "call_method", "CALL_FUNCTION_KW": "call_function_kw",
    "CALL_FUNCTION_EX": "call_function_ex", "CALL": "call", "CALL_KW": "call_kw",
    "PUSH_NULL": "push_null", "MAKE_FUNCTION": "make_function", "SET_FUNCTION_ATTRIBUTE": "set_function_attribute",
    "BUILD_TUPLE": "build", "BUILD_LIST": "build", "BUILD_SET": "build", "BUILD_STRING": "build", "BUILD_CONST_KEY_MAP": "build_key_map",
    "BUILD_MAP": "build_map", "EXTENDED_ARG": "extended_arg",
    "BINARY_SUBSCR": "subscript", "COMPARE_OP": "binary", "IS_OP": "binary", "CONTAINS_OP": "binary", "BINARY_OP": "binary",
    "LIST_EXTEND": "pop", "LIST_APPEND": "pop", "LIST_TO_TUPLE": "other_keeps", "SET_UPDATE": "pop", "DICT_UPDATE": "pop", "DICT_MERGE": "pop",
    "RESUME": "other_keeps", "PRECALL": "other_keeps", "CACHE": "other_keeps", "NOP": "other_keeps", "KW_NAMES": "other_keeps",
    "COPY_FREE_VARS": "other_keeps", "MAKE_CELL": "other_keeps", "NOT_TAKEN": "other_keeps", "TO_BOOL": "other_keeps", "GET_ITER": "other_keeps",
    "FORMAT_SIMPLE": "other_keeps", "CONVERT_VALUE": "other_keeps",
}
KINDS_CHANGED = {"2.7": {"CALL_FUNCTION": "call_python2", "MAKE_FUNCTION": "other"}}


def kind(version, name):
    changed = KINDS_CHANGED.get(version, {})
    if name in changed:
        return changed[name]
    if name in KINDS:
        return KINDS[name]
    if name.startswith(("BINARY_", "INPLACE_")) and "SLICE" not in name:
        return "binary"
    if name.startswith("UNARY_"):
        return "other_keeps"
    return "other"


def main():
    lines = ["// Made by make_opcodes.py: change that.", "// clang-format off", '#include "scanner/code/marshal/opcodes.hpp"', "",
             "namespace hubgate::marshal {", "namespace {", "",
             "// Every defined opcode that is not listed is `other`: kinds by number, then the set of defined numbers.", ""]
    tables = []
    for version in VERSIONS:
        module = op_imports[version]
        rows, defined = [], [0] * 4
        for number, name in enumerate(module.opname):
            if name.startswith(("<", "INSTRUMENTED_")) or number > 255 or (version == "3.14" and number > 128):
                continue
            defined[number // 64] |= 1 << number % 64
            what = kind(version, name)
            if what != "other":
                rows.append((number, what))
        ident = "k_" + version.replace(".", "_")
        lines.append(f"constexpr Row {ident}[] = {{")
        cells = [f"{{{number}, Op::{what}}}," for number, what in rows]
        lines += ["    " + " ".join(cells[at:at + 3]) for at in range(0, len(cells), 3)]
        lines.append("};")
        words = ", ".join(f"0x{word:x}" for word in defined)
        tables.append(f"    {{{int(version.split('.')[0]) * 100 + int(version.split('.')[1])}, {ident}, {{{{{words}}}}}}},")
    lines += ["", "constexpr Table k_tables[] = {", *tables, "};", "", "} // namespace", "",
              "std::span<const Table> opcode_tables() {", "  return k_tables;", "}", "", "} // namespace hubgate::marshal", ""]
    Path(__file__).with_name("opcode_tables.cpp").write_text("\n".join(lines))


main()
