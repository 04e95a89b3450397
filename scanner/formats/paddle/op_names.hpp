#pragma once
// The framework's own operators: any other name is a custom one.
#include <string_view>

namespace hubgate::paddle {

/// True for an operator of the framework's registry.
bool is_registered(std::string_view op);

} // namespace hubgate::paddle
