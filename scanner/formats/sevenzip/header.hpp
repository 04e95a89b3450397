#pragma once
// The header of a 7z archive (7zFormat.txt of the LZMA SDK 23): folders of packed streams, and the
// files in them. Parsing is strict and bounded by the header's own bytes: a count that can't fit
// fails before anything is allocated.
#include "scanner/core/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hubgate::sevenzip {

inline constexpr std::string_view k_magic{"7z\xbc\xaf\x27\x1c", 6};
inline constexpr std::uint64_t k_signature_header = 32;

struct SignatureHeader {
  std::uint64_t next_offset = 0; ///< behind the signature header
  std::uint64_t next_size = 0;
  std::uint32_t next_crc = 0;
  bool crc_right = false; ///< its own
};
std::optional<SignatureHeader> read_signature_header(Bytes bytes);

struct Coder {
  std::uint64_t id = 0; ///< the bytes of the id, big-endian
  std::vector<std::uint8_t> properties;
  std::uint64_t inputs = 1;
  std::uint64_t outputs = 1;
};

struct Folder {
  std::vector<Coder> coders;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> bonds; ///< input, output
  std::vector<std::uint64_t> packed_inputs;
  std::vector<std::uint64_t> unpack_sizes; ///< of all outputs
  std::optional<std::uint32_t> crc;
  std::uint64_t first_pack_stream = 0;

  struct Stream {
    std::uint64_t size = 0;
    std::optional<std::uint32_t> crc;
  };
  std::vector<Stream> streams; ///< the files' bytes, one after the other

  /// Length of what the folder decodes to.
  std::uint64_t size() const;
  /// The coders from the one that makes the files' bytes to the one that reads the packed stream;
  /// nothing when they are no simple chain (BCJ2).
  std::optional<std::vector<const Coder*>> chain() const;
};

struct PackStream {
  std::uint64_t offset = 0; ///< behind the signature header
  std::uint64_t size = 0;
};

struct Streams {
  std::vector<PackStream> packed;
  std::vector<Folder> folders;
};

struct File {
  std::string name; ///< UTF-8; unpaired surrogates as three bytes
  bool has_stream = true;
  bool directory = false;
  bool anti = false; ///< an instruction to delete
  std::uint32_t attributes = 0;
};

struct Header {
  Streams streams;
  std::vector<File> files;
  bool encoded = false; ///< the header itself is packed: `streams` says how
};

enum class Failure { none, malformed, unsupported, too_large };

struct ParsedHeader {
  Header header;
  Failure failure = Failure::none;
};

/// Parses the bytes of a header; at most `limit` files and streams.
ParsedHeader parse_header(Bytes bytes, std::uint64_t limit);

} // namespace hubgate::sevenzip
