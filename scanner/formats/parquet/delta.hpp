#pragma once
// DELTA_BINARY_PACKED (parquet-format, Encodings.md): lengths of byte arrays as packed differences.
#include "scanner/core/source.hpp"

namespace hubgate::parquet {

/// Reads the numbers that begin at `at` and moves it behind them. Nothing when they are malformed,
/// negative, or more than `most`.
std::optional<std::vector<std::uint64_t>> read_deltas(Source& page, std::uint64_t& at,
                                                      std::uint64_t end, std::uint64_t most);

} // namespace hubgate::parquet
