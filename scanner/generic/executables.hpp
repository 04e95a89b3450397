#pragma once
// Native executables by their headers, validated so far that random weights can't look like one.
#include "scanner/core/format.hpp"
#include "scanner/core/source.hpp"

#include <optional>
#include <string>

namespace hubgate {

struct Executable {
  std::string what; ///< "an ELF shared object for x86-64"
  bool complete;    ///< every checked field holds; else only the magic and the next few bytes do
};

/// The executable that begins at `at`, or nothing. `size` is the length of `source`; reads at most
/// 4 KiB at `at` and once more at the PE header.
std::optional<Executable> find_executable(Source& source, std::uint64_t at, std::uint64_t size);

/// An executable in bytes that should be data; part of generic_rules().
inline constexpr Rule k_rule_hidden_executable{
    "generic-executable",
    "executable",
    Severity::malicious,
    Reach::data,
    "CWE-506",
    "AML.T0018.002",
    "POL-005",
    "a native executable lies in bytes that should be data"};

} // namespace hubgate
