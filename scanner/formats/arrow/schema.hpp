#pragma once
// An Arrow schema (Schema.fbs, format 1.5): names, types, and the metadata beside them, in which
// extension types keep what their Python classes are made from. Parquet and others carry the same
// bytes. Reading it tells which buffers of a record batch hold values that are bytes.
#include "scanner/core/flatbuffer.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"

#include <array>
#include <map>
#include <string>
#include <vector>

namespace hubgate::arrow {

enum class Buffer : std::uint8_t {
  numbers,   ///< validity, numbers, types: nothing to look at
  offsets32, ///< of the data buffer that follows
  offsets64,
  data,
  fixed, ///< values of `width` bytes
  views, ///< 16 bytes a value, followed by as many data buffers as the batch says
};

struct BufferSpec {
  Buffer kind = Buffer::numbers;
  std::uint32_t width = 0;
  std::uint32_t field = 0; ///< index into Schema::names
};

struct Schema {
  std::vector<std::string> names;
  std::vector<BufferSpec> columns; ///< of a record batch, in order
  std::map<std::int64_t, std::vector<BufferSpec>> dictionaries;
  bool big_endian = false;
};

/// Reads the Schema table and reports what its metadata holds. `legacy`: metadata version 4 and
/// older, where unions have a validity buffer. Nothing when it can't be read.
std::optional<Schema> read_schema(Flatbuffer& buffer, const FlatTable& table, Session& session,
                                  bool legacy);

/// Scans key-value pairs: [KeyValue] in field `id` of `table`. `owner` names what they belong to.
void scan_metadata(Flatbuffer& buffer, const FlatTable& table, std::uint16_t id,
                   std::string_view owner, Session& session);

/// Scans bytes that should be one encapsulated Schema message (Parquet's "ARROW:schema" behind
/// base64, Avro, ORC). False: they are none.
bool scan_schema_message(Source& source, Session& session);

/// Rules of this file, part of those of the format "arrow".
inline constexpr Rule k_rule_python_extension{
    "arrow-python-extension",
    "dangerous-call",
    Severity::malicious,
    Reach::load,
    "CWE-502",
    "AML.T0010.002",
    "DAT-004",
    "a column's type is a pickle, which pyarrow before 14.0.1 loads when it opens the file "
    "(CVE-2023-47248)"};
inline constexpr Rule k_rule_extension_pickle{
    "arrow-extension-pickle",
    "dangerous-call",
    Severity::malicious,
    Reach::load,
    "CWE-502",
    "AML.T0010.002",
    "DAT-005",
    "the metadata of a column's extension type is a pickle, which the library that owns the type "
    "loads"};

} // namespace hubgate::arrow
