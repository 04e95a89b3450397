#pragma once
// Raw data of datasets: where it lies, how much it is, and for the few types that can carry code
// the bytes themselves (chunks are decoded up to a bound). Numbers are accounted for and never
// read.
#include "scanner/formats/hdf5/storage.hpp"

namespace hubgate::hdf5 {

inline constexpr std::uint64_t k_max_collected = std::uint64_t{16} << 20;

/// What a filter is: read here, part of the library or registered, or of nobody.
enum class FilterKind : std::uint8_t { decoded, known, registered, unknown };
FilterKind kind_of(std::uint16_t filter);

/// Undoes `filters` (in reverse, but for those of `mask`) on a chunk of `decoded` bytes; nothing if
/// one of them is not decoded here or the bytes are broken.
std::optional<std::vector<std::uint8_t>> undo(std::vector<std::uint8_t> bytes,
                                              const std::vector<Filter>& filters,
                                              std::uint32_t mask, std::uint64_t decoded,
                                              Budget& budget);

struct DatasetInfo {
  Datatype type;
  Dataspace space;
  Layout layout;
  std::vector<Filter> filters;
};

struct RawData {
  std::uint64_t stored = 0;            ///< bytes in the file
  bool index_known = true;             ///< false: the chunks could not be listed
  std::uint64_t first = k_undefined;   ///< address of the first bytes
  std::vector<std::uint8_t> collected; ///< decoded, in the order of the index, if wanted
  bool cut = false;                    ///< there is more than was collected
  bool undecoded = false;              ///< a filter is not decoded here
};

/// Accounts for the data of a chunked dataset; decodes it if `collect`.
RawData read_chunked(File& file, Storage& storage, const DatasetInfo& info, bool collect,
                     Budget& budget);

/// The files that the virtual dataset described by `block` maps, "." and "" left out. Nothing when
/// it can't be read to its end.
std::optional<std::vector<std::string>> virtual_files(const File& file, Bytes block);

} // namespace hubgate::hdf5
