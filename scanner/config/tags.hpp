#pragma once
// Tags: what a YAML tag makes its loader do. PyYAML's python tags, HyperPyYAML's constructors, and
// the object tags of other languages' loaders.
#include "scanner/config/config.hpp"

#include <array>

namespace hubgate::config {

/// Judges the tag of a node (in full, as YamlReader gives it) and reports. `value` is the node's
/// scalar, "" for collections.
void check_tag(Teller& teller, std::string_view tag, std::string_view value, std::uint64_t offset);

inline constexpr Rule k_python_tag{
    "yaml-python-object",
    "dangerous-call",
    Severity::malicious,
    Reach::load,
    "CWE-502",
    "AML.T0011.000",
    "CFG-011",
    "a YAML tag makes an unsafe loader call or import what it names"};
inline constexpr Rule k_python_data{
    "yaml-python-data",
    "structure",
    Severity::informational,
    Reach::load,
    "CWE-502",
    "AML.T0011.000",
    "CFG-011",
    "a YAML tag of Python that makes plain data, which only an unsafe loader reads"};
inline constexpr Rule k_language_tag{
    "yaml-object",       "dangerous-call",
    Severity::malicious, Reach::load,
    "CWE-502",           "AML.T0011.000",
    "CFG-011",           "a YAML tag makes an unsafe loader of another language build an object"};
inline constexpr Rule k_hyper_danger{
    "yaml-hyper-dangerous",
    "dangerous-call",
    Severity::malicious,
    Reach::load,
    "CWE-470",
    "AML.T0011.000",
    "CFG-010",
    "a HyperPyYAML tag names a callable with a harmful effect, and the loader calls it"};
inline constexpr Rule k_hyper_unknown{
    "yaml-hyper-call",
    "unknown-class",
    Severity::suspicious,
    Reach::load,
    "CWE-470",
    "AML.T0011.000",
    "CFG-010",
    "a HyperPyYAML tag names a callable that is not reviewed, and the loader imports or calls it"};
inline constexpr Rule k_include{"yaml-include",
                                "reference",
                                Severity::informational,
                                Reach::load,
                                "CWE-829",
                                "AML.T0011.000",
                                "CFG-010",
                                "a tag reads another file into this one"};
inline constexpr Rule k_include_path{"yaml-include-path",
                                     "traversal",
                                     Severity::malicious,
                                     Reach::load,
                                     "CWE-22",
                                     "AML.T0011.000",
                                     "CFG-010",
                                     "a tag reads a file from outside of the repository"};

inline constexpr std::array k_tag_rules{k_python_tag,   k_python_data,   k_language_tag,
                                        k_hyper_danger, k_hyper_unknown, k_include,
                                        k_include_path};

} // namespace hubgate::config
