#pragma once
// Bytecode that was recovered: marshalled code objects, and code objects that are put together
// from their parts (types.CodeType), become source (scanner/code/marshal) and are analysed as such.
#include "scanner/code/marshal/marshal.hpp"
#include "scanner/code/python/analyse.hpp"

#include <string>
#include <vector>

namespace hubgate::python {

/// Analyses the code objects of `object`, which was read from `input`, and shows their instructions
/// and source to who asks. `unit.offset` is where the data begins; findings point there. `version`:
/// 0 where it is not known. What can't be followed in full is not complete, without a gap.
Summary analyse_bytecode(Bytes input, const marshal::Object& object, const Unit& unit,
                         Session& session, int version = 0);

/// Source of marshalled code, or "" if `input` holds none that can be read.
std::string source_of_bytecode(Bytes input);

/// A part of a code object: as an argument of types.CodeType.
struct CodePart {
  enum class Kind { none, number, text, bytes, tuple, code };
  Kind kind = Kind::none;
  std::int64_t number = 0;
  std::string content = {};         ///< of text, bytes; marshalled, of code
  std::vector<CodePart> items = {}; ///< of tuple
};

/// The arguments of types.CodeType (of any version) as marshalled data; "" if they are none.
std::string marshalled_code(const std::vector<CodePart>& arguments);

} // namespace hubgate::python
