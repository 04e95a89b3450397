#pragma once
// The files of the audit log: segments in order, their complete lines, a torn end. Internal to
// policy/.
#include "policy/audit.hpp"

#include <optional>

namespace hubgate {

/// prev of the first line.
std::string audit_genesis();

struct AuditSegment {
  std::uint64_t number = 0;
  std::filesystem::path file;
};
std::filesystem::path segment_file(const std::filesystem::path& dir, std::uint64_t number);
/// By number. An error when the folder can't be read.
Result<std::vector<AuditSegment>> audit_segments(const std::filesystem::path& dir);

/// A line is at most this long; a longer one is damage.
inline constexpr std::size_t k_audit_line_max = std::size_t{1} << 20;

/// Calls `each(text, number of the line)` for every line that ends in a line feed, until it returns
/// false. Returns how many bytes stand behind the last one.
Result<std::uint64_t>
each_line(const std::filesystem::path& file,
          const std::function<bool(std::string_view text, std::uint64_t number)>& each);

/// The last good line of a segment, and how many bytes stand behind it.
struct AuditTail {
  std::optional<AuditLog::Line> last;
  std::uint64_t unreadable = 0;
};
/// Reads from the end, so that its cost does not grow with the segment.
Result<AuditTail> audit_tail(const std::filesystem::path& file);

/// The fields of a line, or nothing if it is not a JSON object with a sequence number.
std::optional<boost::json::object> audit_fields(std::string_view text);
std::uint64_t seq_of(const boost::json::object& fields);
std::string text_field(const boost::json::object& fields, std::string_view key);

} // namespace hubgate
