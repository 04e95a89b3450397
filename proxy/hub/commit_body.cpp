#include "proxy/hub/commit_body.hpp"

#include "policy/store.hpp"
#include "proxy/http/head.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr std::size_t k_path_most = 1024;
constexpr std::size_t k_lines_most = 100'000;

Result<std::string> text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
  if (value == nullptr || !value->is_string())
    return Error{"\"" + std::string(key) + "\" is missing or no text"};
  return std::string(value->get_string());
}

Result<std::string> path_of(const json::object& value) {
  auto path = HUBGATE_TRY(text_of(value, "path"));
  if (!is_repository_path(path)) return Error{"\"path\" is no path of a repository"};
  return path;
}

Result<LinkedFile> read_linked(const json::object& value) {
  LinkedFile out;
  out.path = HUBGATE_TRY(path_of(value));
  const auto algorithm = HUBGATE_TRY(text_of(value, "algo"));
  const auto oid = HUBGATE_TRY(text_of(value, "oid"));
  const auto digest = sha256_from_hex(oid);
  const json::value* size = value.if_contains("size");
  if (algorithm != "sha256" || !digest) return Error{"\"oid\" is no sha256"};
  if (size != nullptr) {
    if (!size->is_int64() || size->get_int64() < 0) return Error{"\"size\" is no number of bytes"};
    out.size = static_cast<std::uint64_t>(size->get_int64());
  }
  out.oid = *digest;
  return out;
}

Result<void> read_operation(std::string_view key, const json::object& value, CommitBody& out) {
  if (key == "file") {
    out.files.push_back(HUBGATE_TRY(read_inline_file(value)));
    return {};
  }
  if (key == "lfsFile") {
    out.linked.push_back(HUBGATE_TRY(read_linked(value)));
    return {};
  }
  if (key == "deletedFile" || key == "deletedFolder" || key == "deletedEntry") {
    auto path = HUBGATE_TRY(text_of(value, "path"));
    while (path.ends_with('/'))
      path.pop_back();
    if (key != "deletedFile") out.deleted_folders.push_back(path);
    if (key != "deletedFolder") out.deleted.push_back(std::move(path));
    return {};
  }
  return Error{"an operation that the gate does not know"};
}

Result<void> read_line(std::string_view line, bool first, CommitBody& out) {
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = 16;
  const json::value parsed =
      json::parse(json::string_view(line.data(), line.size()), failed, {}, options);
  const auto* object = parsed.if_object();
  if (failed || object == nullptr) return Error{"no JSON object"};
  const auto key = HUBGATE_TRY(text_of(*object, "key"));
  const json::value* value = object->if_contains("value");
  if (value == nullptr || !value->is_object() || object->size() != 2)
    return Error{"\"key\" and \"value\" are expected"};
  if ((key == "header") != first) return Error{"the header is the first line, and only that"};
  if (first && value->get_object().contains("parentCommit"))
    out.parent = HUBGATE_TRY(text_of(value->get_object(), "parentCommit"));
  if (!first)
    if (auto read = read_operation(key, value->get_object(), out); !read) return read;
  out.text += json::serialize(parsed);
  out.text += '\n';
  return {};
}

} // namespace

Result<InlineFile> read_inline_file(const json::object& value) {
  InlineFile out;
  out.path = HUBGATE_TRY(path_of(value));
  auto content = HUBGATE_TRY(text_of(value, "content"));
  const auto encoding = HUBGATE_TRY(text_of(value, "encoding"));
  if (encoding == "utf-8") {
    out.bytes = std::move(content);
    return out;
  }
  if (encoding != "base64") return Error{"an unknown encoding"};
  auto bytes = from_base64(content);
  if (!bytes) return Error{"\"content\" is no base64"};
  out.bytes = std::move(*bytes);
  return out;
}

bool is_repository_path(std::string_view path) {
  if (path.empty() || path.size() > k_path_most) return false;
  const bool printable = std::none_of(path.begin(), path.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\';
  });
  if (!printable) return false;
  while (true) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string part = lower(path.substr(0, end));
    if (part.empty() || part == "." || part == ".." || part == ".git") return false;
    if (end == path.size()) return true;
    path.remove_prefix(end + 1);
  }
}

std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view k_alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static const auto k_values = [&] {
    std::array<std::uint8_t, 256> out{};
    out.fill(0xff);
    for (std::size_t i = 0; i < k_alphabet.size(); ++i)
      out[static_cast<unsigned char>(k_alphabet[i])] = static_cast<std::uint8_t>(i);
    return out;
  }();
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  if (!text.empty() && text.back() == '=') padding = text[text.size() - 2] == '=' ? 2 : 1;
  text.remove_suffix(padding);
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c: text) {
    const std::uint8_t value = k_values[static_cast<unsigned char>(c)];
    if (value == 0xff) return std::nullopt;
    held = held << 6 | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(held >> bits & 0xff);
  }
  // Bits that belong to no byte must be zero, or two texts would mean the same bytes.
  if ((held & ((1u << bits) - 1)) != 0) return std::nullopt;
  return out;
}

Result<CommitBody> read_commit_body(std::string_view text) {
  CommitBody out;
  std::size_t number = 0;
  bool any = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (++number > k_lines_most) return Error{"a commit of too many lines"};
    if (line.empty()) continue;
    if (auto read = read_line(line, !any, out); !read)
      return Error{"line " + std::to_string(number) + " of the commit: " + read.error().message};
    any = true;
  }
  if (!any) return Error{"an empty commit"};
  return out;
}

} // namespace hubgate::proxy
