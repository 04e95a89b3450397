#pragma once
// The body of POST /api/…/commit/REV: one JSON object a line (application/x-ndjson), as
// huggingface_hub, @huggingface/hub and hf-hub send it. What goes on to the hub is written anew
// from what was understood here, so that no second reading of the lines is left.
#include "scanner/core/digest.hpp"
#include "scanner/core/result.hpp"

#include <boost/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::proxy {

/// A file that comes with the commit itself.
struct InlineFile {
  std::string path;
  std::string bytes;
};

/// A file whose bytes the hub has, or says that it has.
struct LinkedFile {
  std::string path;
  Sha256 oid{};
  std::optional<std::uint64_t> size; ///< bytes; a copy on the server has none
};

struct CommitBody {
  std::vector<InlineFile> files;
  std::vector<LinkedFile> linked;
  std::vector<std::string> deleted;         ///< paths of files
  std::vector<std::string> deleted_folders; ///< without a '/' at the end
  std::optional<std::string> parent;        ///< the commit that the client saw
  std::string text;                         ///< the body to send on
};

/// An error names the line. Operations, encodings and paths that are not known are errors: nothing
/// is passed on that was not understood.
Result<CommitBody> read_commit_body(std::string_view text);

/// {"path", "content", "encoding": "base64" or "utf-8"}.
Result<InlineFile> read_inline_file(const boost::json::object& value);

/// Whether a path may stand in a repository: relative, no empty, `.`, `..` or `.git` part, no
/// control character or backslash, at most 1,024 bytes.
bool is_repository_path(std::string_view path);

/// Strict base64 (RFC 4648, section 4): the standard alphabet, padded, nothing else.
std::optional<std::string> from_base64(std::string_view text);

} // namespace hubgate::proxy
