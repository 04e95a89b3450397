"""make_instructions.py: writes instructions.hpp and instructions.cpp from the opcode tables of CPython
3.6 to 3.14, as the package xdis (6.1 or later, pip install xdis) has them. Run again when a version is
added; the counts of inline caches are those of Lib/opcode.py (3.11) and Lib/_opcode_metadata.py."""
from pathlib import Path

from xdis.op_imports import op_imports

VERSIONS = ["3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
CACHES = {
    "3.11": {"BINARY_SUBSCR": 4, "STORE_SUBSCR": 1, "UNPACK_SEQUENCE": 1, "STORE_ATTR": 4, "LOAD_ATTR": 4, "COMPARE_OP": 2,
             "LOAD_GLOBAL": 5, "BINARY_OP": 1, "LOAD_METHOD": 10, "PRECALL": 1, "CALL": 4},
    "3.12": {"BINARY_SUBSCR": 1, "STORE_SUBSCR": 1, "UNPACK_SEQUENCE": 1, "FOR_ITER": 1, "STORE_ATTR": 4, "LOAD_ATTR": 9,
             "COMPARE_OP": 1, "LOAD_GLOBAL": 4, "BINARY_OP": 1, "LOAD_SUPER_ATTR": 1, "SEND": 1, "CALL": 3},
}
CACHES["3.13"] = CACHES["3.12"] | {"CONTAINS_OP": 1, "TO_BOOL": 3, "JUMP_BACKWARD": 1, "POP_JUMP_IF_TRUE": 1,
                                   "POP_JUMP_IF_FALSE": 1, "POP_JUMP_IF_NONE": 1, "POP_JUMP_IF_NOT_NONE": 1}
CACHES["3.14"] = CACHES["3.13"] | {"BINARY_OP": 5, "CALL_KW": 3}


def ident(name):
    return name.lower().replace("+", "_")


def main():
    names = {"CACHE", "EXTENDED_ARG"}
    tables = {}
    for version in VERSIONS:
        table = {}
        for number, name in enumerate(op_imports[version].opname):
            if name.startswith(("<", "INSTRUMENTED_")) or number > 255 or (version == "3.14" and number > 128):
                continue
            table[number] = name
            names.add(name)
        tables[version] = table
    ordered = sorted(names)
    header = ["#pragma once", "// Made by make_instructions.py: change that.", "// Every instruction of CPython 3.6 to 3.14 by name, and the numbers of each version.",
              "// clang-format off", "#include <array>", "#include <cstdint>", "#include <string_view>", "",
              "namespace hubgate::marshal {", "", "enum class Instruction : std::uint8_t {", "  undefined,"]
    header += [f"  {ident(name)}," for name in ordered]
    header += ["};", "", "struct InstructionSet {", "  int version;                          ///< 306 is 3.6, 314 is 3.14",
               "  std::array<Instruction, 256> by_number;", "  std::array<std::uint8_t, 256> caches; ///< code units behind an instruction that are not executed", "};", "",
               "/// The instructions of a version of Python 3; nothing for a version that is not known.",
               "const InstructionSet* instruction_set(int version);", "", "/// CPython's name of an instruction.",
               "std::string_view name_of(Instruction instruction);", "", "} // namespace hubgate::marshal", ""]
    Path(__file__).with_name("instructions.hpp").write_text("\n".join(header))
    lines = ["// Made by make_instructions.py: change that.", "// clang-format off", '#include "scanner/code/marshal/instructions.hpp"', "",
             "namespace hubgate::marshal {", "namespace {", "", "using enum Instruction;", "",
             f"constexpr std::array<std::string_view, {len(ordered) + 1}> k_names{{", '    "",']
    lines += [f'    "{name}",' for name in ordered]
    lines += ["};", "", f"constexpr std::array<InstructionSet, {len(VERSIONS)}> k_sets{{{{"]
    for version in VERSIONS:
        major, minor = version.split(".")
        lines.append(f"    {{{int(major) * 100 + int(minor)},")
        cells = [ident(tables[version].get(number, "undefined")) for number in range(256)]
        lines.append("     {{")
        lines += ["      " + ", ".join(cells[at:at + 6]) + "," for at in range(0, 256, 6)]
        lines.append("     }},")
        counts = [str(CACHES.get(version, {}).get(tables[version].get(number, ""), 0)) for number in range(256)]
        lines.append("     {{" + "\n      ".join(", ".join(counts[at:at + 40]) + "," for at in range(0, 256, 40)) + "}}},")
    lines += ["}};", "", "} // namespace", "", "const InstructionSet* instruction_set(int version) {", "  for (const InstructionSet& set: k_sets)",
              "    if (set.version == version) return &set;", "  return nullptr;", "}", "", "std::string_view name_of(Instruction instruction) {",
              "  return k_names[static_cast<std::size_t>(instruction)];", "}", "", "} // namespace hubgate::marshal", ""]
    Path(__file__).with_name("instructions.cpp").write_text("\n".join(lines))


main()
