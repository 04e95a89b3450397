#pragma once
// Reading zip (APPNOTE 6.3.10): records as they stand in the file, and the bytes of members.
// Nothing here judges; zip.cpp compares what the records say of each other. Formats that refine zip
// (PyTorch, npz, …) use read_directory() and MemberContent.
//
// Every function returns nothing when the bytes end before the record does. No offset is trusted:
// callers of MemberContent get fewer bytes where the file ends.
#include "scanner/codecs/checked_source.hpp"
#include "scanner/core/budget.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/source.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hubgate::zip {

inline constexpr std::string_view k_local_magic = "PK\3\4";
inline constexpr std::string_view k_central_magic = "PK\1\2";
inline constexpr std::string_view k_end_magic = "PK\5\6";
inline constexpr std::string_view k_end64_magic = "PK\6\6";
inline constexpr std::string_view k_locator_magic = "PK\6\7";
inline constexpr std::string_view k_descriptor_magic = "PK\7\x08";

inline constexpr std::uint32_t k_unknown32 = 0xffffffff;

enum Flag : std::uint16_t {
  k_flag_encrypted = 1,
  k_flag_descriptor = 8,
  k_flag_patched = 0x20,
  k_flag_strong = 0x40,
  k_flag_utf8 = 0x800,
  k_flag_masked = 0x2000,
};

enum Method : std::uint16_t {
  k_stored = 0,
  k_deflate = 8,
  k_deflate64 = 9,
  k_bzip2 = 12,
  k_lzma = 14,
  k_zstd_old = 20,
  k_zstd = 93,
  k_xz = 95,
  k_aes = 99,
};

/// What local header and central record have in common, with zip64 applied to the sizes.
struct Header {
  std::uint64_t offset = 0; ///< of the record itself
  std::uint64_t end = 0;    ///< behind the record; for a local header where the data begin
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint64_t compressed = 0;
  std::uint64_t size = 0;
  std::string name;            ///< raw
  std::string unicode_name;    ///< of the unicode path extra field 0x7075, "" = none
  bool zip64 = false;          ///< has a zip64 extra field
  bool zip64_missing = false;  ///< a size or offset is all ones and no zip64 field has it
  bool zip64_conflict = false; ///< a zip64 field says otherwise than a 32-bit field that is in use
  std::uint64_t extra_begin = 0;
  std::uint64_t extra_size = 0;

  bool is_directory() const { return !name.empty() && (name.back() == '/'); }
};

struct CentralRecord : Header {
  std::uint16_t made_by = 0;
  std::uint16_t disk = 0;
  std::uint32_t attributes = 0;
  std::uint64_t local_offset = 0; ///< as stated
  std::uint64_t comment_begin = 0;
  std::uint64_t comment_size = 0;

  /// Unix mode, 0 when the record was not made by a system that has one.
  std::uint32_t unix_mode() const { return attributes >> 16; }
};

std::optional<Header> read_local(Source& source, std::uint64_t offset);
std::optional<CentralRecord> read_central(Source& source, std::uint64_t offset);

/// An end record with its zip64 companions, if it has them.
struct EndRecord {
  std::uint64_t offset = 0;
  std::uint64_t end = 0; ///< behind the comment, as far as the record says
  std::uint16_t disk = 0;
  std::uint16_t directory_disk = 0;
  std::uint64_t here = 0;
  std::uint64_t total = 0;
  std::uint64_t size = 0;             ///< of the directory
  std::uint64_t directory_offset = 0; ///< as stated
  std::uint16_t comment_size = 0;

  struct Wide {
    std::uint64_t offset = 0;
    std::uint64_t stated_offset = 0; ///< by the locator
    std::uint64_t total = 0;
    std::uint64_t size = 0;
    std::uint64_t directory_offset = 0;
  };
  std::optional<Wide> wide;
  bool locator_without_record = false;
};

std::optional<EndRecord> read_end(Source& source, std::uint64_t offset);

/// A place where a directory may begin, and what has to be added to its offsets.
struct DirectoryPlace {
  std::uint64_t begin = 0;
  std::uint64_t limit = 0; ///< the directory ends here at the latest
  std::uint64_t base = 0;
  std::uint64_t total = 0; ///< records, as stated
  std::uint64_t size = 0;  ///< bytes, as stated
};

/// All places that some reader would take for the directory of `end`: where the offset says,
/// counted from the file's start, and directly in front of the end record, each with the 32-bit and
/// the zip64 values. Only places where a record stands (or an empty directory); distinct; the one
/// that CPython's zipfile takes comes first.
std::vector<DirectoryPlace> directory_places(Source& source, const EndRecord& end);

/// A data descriptor at `offset` of a member with these actual values.
struct Descriptor {
  std::uint64_t length = 0; ///< bytes; 0 = there is none that fits
  std::uint32_t crc = 0;
};
Descriptor read_descriptor(Source& source, std::uint64_t offset, std::uint64_t compressed,
                           std::uint64_t size);

/// Whether hubgate decodes this method.
bool is_supported(std::uint16_t method);

/// The content of a member: the bytes at `begin`, decoded.
class MemberContent final : public CheckedSource {
public:
  /// `compressed`: nothing when it is not known (a streamed member): then a codec ends itself, and
  /// stored bytes end at the descriptor that fits. `size` is what the header says, for codecs that
  /// need it. `file` and `budget` must outlive this.
  MemberContent(Source& file, std::uint64_t begin, std::optional<std::uint64_t> compressed,
                std::uint16_t method, std::optional<std::uint64_t> size, Budget& budget);
  ~MemberContent() override;

  /// After finish(): first byte of the file behind the stored bytes that were used.
  std::uint64_t stored_end() const;
  /// A stored member without a length whose descriptor was not found: it ran to the file's end.
  bool is_unbounded() const;

private:
  class Described;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// The reading of CPython's zipfile: the last end record of the last 64 KiB, its directory, members
/// in its order. `data_begin` is nothing where no local header stands.
struct Member {
  CentralRecord central;
  std::optional<std::uint64_t> data_begin;

  /// Its content, decoded; call only with a data_begin and a supported method.
  std::unique_ptr<MemberContent> open(Source& file, Budget& budget) const;
};

struct Directory {
  EndRecord end;
  DirectoryPlace place;
  std::vector<Member> members;
  bool cut = false; ///< the budget or the records ended before the stated number
};

/// Needs the whole object: it waits for the end.
std::optional<Directory> read_directory(Source& source, Budget& budget);

/// Records from place.begin on, while they follow each other; `visit` returns false to stop.
/// Returns the offset behind the last one.
template <typename Visit>
std::uint64_t each_record(Source& source, const DirectoryPlace& place, Visit visit) {
  std::uint64_t at = place.begin;
  while (at < place.limit) {
    auto record = read_central(source, at);
    if (!record) break;
    at = record->end;
    if (!visit(std::move(*record))) break;
  }
  return at;
}

/// Position of the last end record that ends the object (its comment reaches the end exactly or is
/// cut), as readers look for it in the last 64 KiB; nothing if there is none.
std::optional<std::uint64_t> find_last_end(Bytes tail, std::uint64_t tail_begin);

/// Whether an object may be an archive by its head, or by an end record that ends it exactly. (An
/// uncompressed tar whose last member is a zip has one near its end too, and is no zip to its
/// users.) `tail` must be there for the second.
bool begins_like_zip(Bytes head);
bool ends_like_zip(const Probe& probe);

} // namespace hubgate::zip
