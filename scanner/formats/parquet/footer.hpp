#pragma once
// Parquet's footer and page headers as they stand (parquet.thrift, format 2.11). Nothing here
// judges.
#include "scanner/core/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hubgate::parquet {

/// parquet.thrift, enum Type.
enum class Physical : std::int32_t {
  boolean = 0,
  int32 = 1,
  int64 = 2,
  int96 = 3,
  real = 4,
  number = 5,
  byte_array = 6,
  fixed = 7,
};

/// enum CompressionCodec.
enum class Codec : std::int32_t {
  stored = 0,
  snappy = 1,
  gzip = 2,
  lzo = 3,
  brotli = 4,
  lz4 = 5,
  zstd = 6,
  lz4_raw = 7,
};

struct Element {
  std::string name;
  std::optional<std::int64_t> type; ///< of a leaf
  std::int64_t length = 0;          ///< of FIXED_LEN_BYTE_ARRAY
  std::int64_t repetition = 0;      ///< 0 required, 1 optional, 2 repeated
  std::int64_t children = 0;
};

/// A leaf of the schema, with the levels that its values have.
struct Column {
  std::string path;
  std::int64_t type = 0;
  std::int64_t length = 0;
  unsigned definition = 0;
  unsigned repetition = 0;
};

struct Chunk {
  std::string file_path;
  bool described = false; ///< has ColumnMetaData
  bool encrypted = false;
  std::int64_t type = 0;
  std::int64_t codec = 0;
  std::int64_t values = 0;
  std::int64_t unpacked = 0;
  std::int64_t packed = 0;
  std::int64_t data_page = 0;
  std::optional<std::int64_t> index_page;
  std::optional<std::int64_t> dictionary_page;
  std::string path;
  /// Bloom filter, offset index and column index: offset and length (0: not stated).
  std::vector<std::pair<std::int64_t, std::int64_t>> beside;
};

struct RowGroup {
  std::int64_t rows = 0;
  std::vector<Chunk> chunks;
};

struct Footer {
  std::int64_t version = 0;
  std::int64_t rows = 0;
  std::vector<Element> schema;
  std::vector<RowGroup> groups;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string created_by;
  bool encrypted = false;
  std::uint64_t length = 0; ///< bytes that it took
};

inline constexpr std::uint64_t k_max_columns = 1'000'000; ///< column chunks of a file

/// Reads FileMetaData; nothing when it is not one.
std::optional<Footer> read_footer(Bytes bytes);

/// The leaves of the schema in their order; nothing when the tree contradicts itself.
std::optional<std::vector<Column>> columns_of(const std::vector<Element>& schema);

struct PageHeader {
  std::int64_t type = 0; ///< 0 data, 1 index, 2 dictionary, 3 data of version 2
  std::int64_t unpacked = 0;
  std::int64_t packed = 0;
  std::int64_t values = 0;
  std::int64_t encoding = 0;
  std::int64_t definition_encoding = 3;
  std::int64_t repetition_encoding = 3;
  std::int64_t definition_bytes = 0; ///< version 2
  std::int64_t repetition_bytes = 0;
  bool compressed = true;
  bool described = false;
  std::uint64_t length = 0; ///< of the header itself
};

/// Reads a page header; nothing when it is none or does not end in `bytes`.
std::optional<PageHeader> read_page_header(Bytes bytes);

} // namespace hubgate::parquet
