#pragma once
// Bytecode back to Python: what a code object of CPython 3.6 to 3.14 does, as source that the one
// analysis of Python (scanner/code/python) parses and follows. Not what somebody wrote: names,
// constants and the flow of data are kept, jumps become nested conditions, handlers of exceptions
// are conditions too, comprehensions are loops. Linear in the input, nothing is executed.
#include "scanner/code/marshal/marshal.hpp"

#include <string>

namespace hubgate::marshal {

struct Decompiled {
  std::string text;     ///< Python, a line a statement
  bool complete = true; ///< false: an instruction was not known, or a limit was hit
  int version = 0;      ///< as given or guessed: 311 is 3.11
};

/// The bytes of source that are made out of one object at most.
inline constexpr std::size_t k_max_decompiled = std::size_t{12} << 20;

/// Writes the code objects of `object`, which was read from `input`. The outermost one is a module,
/// or a function that is called at the end. `version`: 0 where it is not known. Of Python 2.7
/// nothing is written, and that is not complete.
Decompiled decompile(Bytes input, const Object& object, int version = 0);

/// The version of the opcodes that fits best: 311 for 3.11.
int guess_version(Bytes input, const Object& object);

/// One line an instruction, for a person: "  12 LOAD_NAME os". At most `lines` of them.
std::string disassemble(Bytes input, const Object& object, int version, std::size_t lines);

} // namespace hubgate::marshal
