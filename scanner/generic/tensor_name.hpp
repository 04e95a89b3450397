#pragma once
// Names of tensors: loaders and converters make paths, log lines and C strings of them.
#include "scanner/core/format.hpp"

#include <optional>
#include <string_view>

namespace hubgate {

/// What is wrong with a tensor's name, or nothing: a path that leads upwards or to a root, control
/// characters, a zero byte, conversions of printf (%n, %s), markup, or more than `longest` bytes.
std::optional<std::string_view> odd_tensor_name(std::string_view name, std::size_t longest);

inline constexpr Rule k_rule_tensor_name{
    "tensor-name",
    "deceptive-name",
    Severity::suspicious,
    Reach::load,
    "CWE-74",
    "AML.T0018.002",
    "POL-009",
    "a tensor's name is written like a path, a format or markup, which reaches "
    "whoever prints or unpacks it"};

} // namespace hubgate
