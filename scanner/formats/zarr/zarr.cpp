// What describes an array of zarr: .zarray (version 2), zarr.json (version 3), .zmetadata (several
// arrays in one). A refinement of JSON. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json_path.hpp"
#include "scanner/core/session.hpp"

#include <array>
#include <charconv>

namespace hubgate {
namespace {

constexpr std::uint64_t k_max_size = std::uint64_t{64} << 20;

constexpr std::array<Rule, 1> k_rules{{
    {"zarr-pickle-codec", "pickle", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "RTF-012", "chunks of the array are pickles, which whoever reads the array unpickles"},
}};

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  return holds(head, "\"zarr_format\"") || holds(head, "\"zarr_consolidated_format\"")
             ? Claim::maybe
             : Claim::no;
}

// "<f4", "|b1", "<U12" of version 2, "float32", "bfloat16" of version 3; nothing for what is not a
// number or a string of fixed length.
std::optional<std::uint64_t> size_of_type(std::string_view type) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 20> k_names{
      {{"bool", 1},          {"int8", 1},        {"uint8", 1},       {"int16", 2},
       {"uint16", 2},        {"int32", 4},       {"uint32", 4},      {"int64", 8},
       {"uint64", 8},        {"float16", 2},     {"bfloat16", 2},    {"float32", 4},
       {"float64", 8},       {"complex64", 8},   {"complex128", 16}, {"int4", 1},
       {"float8_e4m3fn", 1}, {"float8_e5m2", 1}, {"uint4", 1},       {"float8_e4m3b11fnuz", 1}}};
  for (const auto& [name, size]: k_names)
    if (type == name) return size;
  if (type.size() < 3 || (type[0] != '<' && type[0] != '>' && type[0] != '|')) return std::nullopt;
  if (std::string_view("biufcSUVMm").find(type[1]) == std::string_view::npos) return std::nullopt;
  std::uint64_t size = 0;
  const char* end = type.data() + type.size();
  const auto read = std::from_chars(type.data() + 2, end, size);
  // "<M8[ns]" has its unit behind the size.
  if (read.ec != std::errc() || (read.ptr != end && *read.ptr != '[') || size == 0 || size > 4096)
    return std::nullopt;
  return type[1] == 'U' ? size * 4 : size;
}

// What is said of one array.
struct Array {
  std::optional<std::uint64_t> version;
  std::string type;
  std::string separator;
  std::string key_encoding = "default"; ///< version 3
  std::vector<std::uint64_t> chunk;
  std::uint64_t dimensions = 0;
  bool has_grid = false;
  bool plain = true; ///< no codec that the chunks would have to be undone by first, but compression
};

bool is_compression(std::string_view codec) {
  return codec == "zstd" || codec == "gzip" || codec == "zlib" || codec == "bz2" || codec == "lzma";
}

void take(Array& array, const std::string& path, JsonEvent event, const JsonReader& in) {
  const std::string& text = in.text();
  const bool number = event == JsonEvent::number;
  if (path == "zarr_format" && number) array.version = in.as_u64();
  if ((path == "dtype" || path == "data_type") && event == JsonEvent::string) array.type = text;
  if (path == "shape[]" && number) ++array.dimensions;
  const bool grid = path == "chunks[]" || path == "chunk_grid.configuration.chunk_shape[]";
  if (grid && event == JsonEvent::array_begin) array.has_grid = true;
  if (grid && number) {
    const auto length = in.as_u64();
    array.plain = array.plain && length.has_value();
    array.chunk.push_back(length.value_or(0));
  }
  if (event != JsonEvent::string) {
    // A filter or a codec that is described in a way not known here.
    if (path == "filters[]" && event == JsonEvent::object_begin) array.plain = false;
    // Records, and types with parameters.
    if (path == "dtype[]" || path == "data_type") array.plain = false;
    return;
  }
  if (path == "dimension_separator" || path == "chunk_key_encoding.configuration.separator")
    array.separator = text;
  if (path == "chunk_key_encoding.name") array.key_encoding = text;
  if (path == "chunk_grid.name" && text != "regular") array.plain = false;
  if (path == "compressor.id" && !is_compression(text)) array.plain = false;
  if (path == "codecs[].name" && text != "bytes" && text != "transpose" && !is_compression(text))
    array.plain = false;
}

// "c/ / 2 32768": the beginning of the chunks' names ("-" for none), what stands between their
// numbers, how many numbers there are, and the bytes of a chunk.
void describe(Session& session, const Array& array) {
  const auto element = size_of_type(array.type);
  if (!array.plain || !element || !array.has_grid || array.chunk.size() != array.dimensions) return;
  std::uint64_t bytes = *element;
  for (const std::uint64_t length: array.chunk)
    if (length == 0 || __builtin_mul_overflow(bytes, length, &bytes)) return;
  const bool third = array.version == 3U;
  if (!third && array.version != 2U) return;
  const bool nested = third && array.key_encoding == "default";
  std::string separator = array.separator;
  if (separator.empty()) separator = nested ? "/" : ".";
  if (separator != "/" && separator != ".") return;
  session.refer("chunks", 0,
                std::string(nested ? "c" : "-") + " " + separator + " " +
                    std::to_string(array.dimensions) + " " + std::to_string(bytes),
                third ? "zarr.json" : ".zarray");
}

Reading scan(Source& source, Session& session) {
  const std::uint64_t size = source.wait_end();
  if (size > k_max_size) return Reading::none;
  JsonPaths in(source, 0, size, {JsonOptions::Dialect::python});
  Array array;
  bool consolidated = false;
  std::vector<std::pair<std::uint64_t, std::string>> pickles;
  for (;;) {
    const JsonEvent event = in.next();
    if (event == JsonEvent::error) return Reading::none;
    if (event == JsonEvent::end) break;
    const std::string& path = in.path();
    take(array, path, event, in.json());
    consolidated = consolidated || path == "zarr_consolidated_format";
    if (event == JsonEvent::string && in.json().text() == "pickle" &&
        (path.ends_with("filters[].id") || path.ends_with("compressor.id") ||
         path.ends_with("codecs[].name")))
      pickles.emplace_back(in.json().offset(), path);
  }
  if (!array.version && !consolidated) return Reading::none;
  for (const auto& [offset, path]: pickles)
    session.find(k_rules[0], offset, 6, path + " = \"pickle\"");
  describe(session, array);
  return Reading::valid;
}

} // namespace

extern const Format format_zarr;
const Format format_zarr{
    .name = "zarr", .family = "json", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
