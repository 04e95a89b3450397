#pragma once
// Native executables and the bytecode of virtual machines, walked by their structure to their end:
// what they are, what they are linked with, and where their file ends. Nothing here runs or judges.
#include "scanner/core/source.hpp"

#include <cstdint>
#include <string>

namespace hubgate::executable {

struct Program {
  enum class State {
    none,     ///< not this kind after all
    complete, ///< the structure is whole up to `end`
    broken,   ///< the structure leads out of the file or contradicts itself: `detail` says where
  };
  State state = State::none;
  std::string what;      ///< "an ELF shared object for x86-64"
  std::uint64_t end = 0; ///< behind the last byte that its own structure accounts for
  std::string detail = {};
  std::vector<std::string> libraries =
      {}; ///< names of shared libraries that it needs (ELF), bounded
};

Program parse_elf(Source& source, std::uint64_t size);
Program parse_pe(Source& source, std::uint64_t size);
/// Thin and universal Mach-O.
Program parse_mach(Source& source, std::uint64_t size);
Program parse_wasm(Source& source, std::uint64_t size);
Program parse_class(Source& source, std::uint64_t size);
Program parse_dex(Source& source, std::uint64_t size);

} // namespace hubgate::executable
