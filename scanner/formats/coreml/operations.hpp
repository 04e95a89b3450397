#pragma once
// Names of the operations that Core ML itself runs.
#include <string_view>

namespace hubgate::coreml {

/// `type` as MILSpec.Operation has it, without the prefix of a version ("ios18.").
bool is_operation(std::string_view type);

} // namespace hubgate::coreml
