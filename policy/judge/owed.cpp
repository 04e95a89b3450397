#include "policy/judge/owed.hpp"

#include <array>

namespace hubgate {
namespace json = boost::json;
namespace {

/// Of one record, in bytes: a peer of the daemon writes it.
constexpr std::size_t k_record_max = std::size_t{64} << 10;
/// What makes two debts the same.
constexpr std::array<const char*, 5> k_key_fields{"git_dir", "repo", "oid", "ref", "path"};

std::string text_of(const json::object& fields, std::string_view key) {
  const auto* value = fields.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// Lengths in front: no two have one text.
void add(std::string& key, std::string_view part) {
  key += std::to_string(part.size()) + ':' + std::string(part);
}

} // namespace

Result<void> keep_owed(Store& store, std::string_view vouched_by, const json::object& fields) {
  const std::string record = json::serialize(fields);
  if (record.size() > k_record_max || !sha256_from_hex(text_of(fields, "oid")))
    return Error{"what is said to be pending is no LFS object"};
  std::string key;
  add(key, vouched_by);
  for (const char* field: k_key_fields)
    add(key, text_of(fields, field));
  return store.put_owed(hex(sha256(as_bytes(key))), record);
}

} // namespace hubgate
