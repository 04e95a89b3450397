#pragma once
// YAML as JSON: the first document of a YAML text written again, so that what is known of a JSON
// configuration holds for its twin. Tags are dropped (tags.cpp judges them), aliases of scalars and
// collections are written out.
#include <optional>
#include <string>
#include <string_view>

namespace hubgate::config {

/// JSON of the first document, or nothing where `text` is no YAML, is no collection, or would be
/// longer than `most` bytes.
std::optional<std::string> yaml_as_json(std::string_view text, std::size_t most);

} // namespace hubgate::config
