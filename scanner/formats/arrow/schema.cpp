#include "scanner/formats/arrow/schema.hpp"

#include "scanner/formats/pickle/pickle.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>

namespace hubgate::arrow {
namespace {

constexpr std::size_t k_max_value = std::size_t{16} << 20;
constexpr std::size_t k_max_name = 300;
constexpr std::size_t k_max_fields = 1'000'000;
constexpr std::size_t k_max_depth = 64;

// Schema.fbs, union Type.
enum Type : std::uint8_t {
  k_null = 1,
  k_binary = 4,
  k_utf8 = 5,
  k_list = 12,
  k_struct = 13,
  k_union = 14,
  k_fixed_binary = 15,
  k_fixed_list = 16,
  k_map = 17,
  k_large_binary = 19,
  k_large_utf8 = 20,
  k_large_list = 21,
  k_run_end = 22,
  k_binary_view = 23,
  k_utf8_view = 24,
  k_list_view = 25,
  k_large_list_view = 26,
};

// What a pickle would call, and whether that is only the array types of the datasets library,
// which wrote its files so before version 2.15.
class Calls final : public pickle::Observer {
public:
  void on_call(const pickle::View& object, std::uint64_t /*offset*/) override {
    constexpr std::array<std::string_view, 4> k_known{
        "datasets.features.features.Array2DExtensionType",
        "datasets.features.features.Array3DExtensionType",
        "datasets.features.features.Array4DExtensionType",
        "datasets.features.features.Array5DExtensionType"};
    ++count;
    const std::string name = object.name();
    if (std::find(k_known.begin(), k_known.end(), name) == k_known.end()) others = true;
  }
  std::uint64_t count = 0;
  bool others = false;
};

void judge_extension(Session& session, std::string_view owner, std::string_view name,
                     std::string_view metadata, std::uint64_t offset) {
  const bool python = name == "arrow.py_extension_type";
  MemorySource source(as_bytes(metadata));
  Calls calls;
  const auto result = pickle::scan_pickle(
      source, session, 0,
      {.streams = pickle::Options::Streams::one, .reports = pickle::Options::Reports::none},
      &calls);
  const bool whole =
      result.state == pickle::Result::State::complete && result.end == metadata.size();
  const std::string what = std::string(owner) + ": extension type " + std::string(name);
  if (python) {
    FindOptions options;
    if (whole && calls.count > 0 && !calls.others) options.severity = Severity::suspicious;
    session.find(k_rule_python_extension, offset, metadata.size(), what, options);
  } else if (calls.count > 0 || (whole && metadata[0] == '\x80')) {
    FindOptions options;
    if (calls.count == 0) options.severity = Severity::informational;
    session.find(k_rule_extension_pickle, offset, metadata.size(), what, options);
  }
  if (calls.count > 0) session.embedded(std::string(owner) + " extension", source);
}

class SchemaReader {
public:
  SchemaReader(Flatbuffer& buffer, Session& session, bool legacy)
      : buffer_(buffer), session_(session), legacy_(legacy) {}

  bool run(const FlatTable& table, Schema& out) {
    out_ = &out;
    out.big_endian = buffer_.number<std::int16_t>(table, 0, 0) != 0;
    const auto fields = buffer_.vector(table, 1, 4);
    for (std::uint32_t i = 0; fields && i < fields->count; ++i) {
      const auto item = buffer_.table_at(*fields, i);
      if (!item || !field(*item, out.columns, 0)) return false;
    }
    scan_metadata(buffer_, table, 2, "schema", session_);
    return buffer_.failure() == FlatFailure::none;
  }

private:
  bool field(const FlatTable& item, std::vector<BufferSpec>& into, std::size_t depth);
  void layout(std::uint8_t type, const FlatTable& item, std::vector<BufferSpec>& into,
              std::uint32_t name);

  Flatbuffer& buffer_;
  Session& session_;
  bool legacy_;
  Schema* out_ = nullptr;
};

void SchemaReader::layout(std::uint8_t type, const FlatTable& item, std::vector<BufferSpec>& into,
                          std::uint32_t name) {
  const auto add = [&](Buffer kind, std::uint32_t width = 0) {
    into.push_back({kind, width, name});
  };
  switch (type) {
  case k_null:
  case k_run_end:
    return;
  case k_binary:
  case k_utf8:
    add(Buffer::numbers);
    add(Buffer::offsets32);
    return add(Buffer::data);
  case k_large_binary:
  case k_large_utf8:
    add(Buffer::numbers);
    add(Buffer::offsets64);
    return add(Buffer::data);
  case k_binary_view:
  case k_utf8_view:
    add(Buffer::numbers);
    return add(Buffer::views);
  case k_struct:
  case k_fixed_list:
    return add(Buffer::numbers);
  case k_list_view:
  case k_large_list_view:
    add(Buffer::numbers);
    add(Buffer::numbers);
    return add(Buffer::numbers);
  case k_union: {
    if (legacy_) add(Buffer::numbers);
    add(Buffer::numbers);
    const auto kind = buffer_.table(item, 3);
    if (kind && buffer_.number<std::int16_t>(*kind, 0, 0) == 1) add(Buffer::numbers); // dense
    return;
  }
  case k_fixed_binary: {
    const auto kind = buffer_.table(item, 3);
    const auto width = kind ? buffer_.number<std::int32_t>(*kind, 0, 0) : 0;
    add(Buffer::numbers);
    return add(width > 0 ? Buffer::fixed : Buffer::numbers,
               static_cast<std::uint32_t>(std::max(width, 0)));
  }
  default: // numbers, times, booleans, lists and maps: validity, then numbers or offsets
    add(Buffer::numbers);
    return add(Buffer::numbers);
  }
}

bool SchemaReader::field(const FlatTable& item, std::vector<BufferSpec>& into, std::size_t depth) {
  if (depth > k_max_depth || out_->names.size() >= k_max_fields) return false;
  const auto name = static_cast<std::uint32_t>(out_->names.size());
  out_->names.push_back(buffer_.string(item, 0, k_max_name).value_or(std::string()));
  const std::string owner = "column " + out_->names.back();
  scan_metadata(buffer_, item, 6, owner, session_);

  const auto type = buffer_.number<std::uint8_t>(item, 2, 0);
  std::vector<BufferSpec>* target = &into;
  std::vector<BufferSpec> values;
  const auto dictionary = buffer_.table(item, 4);
  if (dictionary) {
    into.push_back({Buffer::numbers, 0, name});
    into.push_back({Buffer::numbers, 0, name});
    target = &values;
  }
  layout(type, item, *target, name);
  const auto children = buffer_.vector(item, 5, 4);
  for (std::uint32_t i = 0; children && i < children->count; ++i) {
    const auto child = buffer_.table_at(*children, i);
    if (!child || !field(*child, *target, depth + 1)) return false;
  }
  if (dictionary)
    out_->dictionaries[buffer_.number<std::int64_t>(*dictionary, 0, 0)] = std::move(values);
  return buffer_.failure() == FlatFailure::none;
}

} // namespace

void scan_metadata(Flatbuffer& buffer, const FlatTable& table, std::uint16_t id,
                   std::string_view owner, Session& session) {
  const auto pairs = buffer.vector(table, id, 4);
  std::string extension;
  std::string metadata;
  std::uint64_t at = 0;
  for (std::uint32_t i = 0; pairs && i < pairs->count; ++i) {
    const auto pair = buffer.table_at(*pairs, i);
    if (!pair) return;
    const std::string key = buffer.string(*pair, 0, k_max_name).value_or(std::string());
    std::string value = buffer.string(*pair, 1, k_max_value).value_or(std::string());
    if (key == "ARROW:extension:name") {
      extension = std::move(value);
      at = buffer.offset(pair->at);
    } else if (key == "ARROW:extension:metadata") {
      metadata = std::move(value);
    } else {
      scan_text_value(session, std::string(owner) + " metadata " + key, value,
                      buffer.offset(pair->at));
    }
  }
  if (!extension.empty()) judge_extension(session, owner, extension, metadata, at);
  // Pickles were judged; what else is in there is a text like any other.
  if (!metadata.empty())
    scan_text_value(session, std::string(owner) + " extension metadata", metadata, at);
}

std::optional<Schema> read_schema(Flatbuffer& buffer, const FlatTable& table, Session& session,
                                  bool legacy) {
  Schema out;
  if (!SchemaReader(buffer, session, legacy).run(table, out)) return std::nullopt;
  return out;
}

bool scan_schema_message(Source& source, Session& session) {
  const std::uint64_t size = source.wait_end();
  Reader head(source.view(0, 8));
  auto length = head.le<std::uint32_t>();
  std::uint64_t begin = 4;
  if (length == 0xffffffffU) {
    length = head.le<std::uint32_t>();
    begin = 8;
  }
  if (!length || *length > size - std::min(size, begin)) return false;
  Flatbuffer buffer(source, begin, *length);
  const auto message = buffer.root();
  if (!message || buffer.number<std::uint8_t>(*message, 1, 0) != 1) return false;
  const auto schema = buffer.table(*message, 2);
  scan_metadata(buffer, *message, 4, "message", session);
  const bool legacy = buffer.number<std::int16_t>(*message, 0, 0) < 4;
  return schema && read_schema(buffer, *schema, session, legacy).has_value();
}

} // namespace hubgate::arrow
