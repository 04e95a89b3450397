#pragma once
// Quarantine: bytes of blocked objects, kept aside for review in bounded space. Files are named by
// sha256, owner-only, below DATA/quarantine. Expired ones make room; when there is none the object
// stays blocked and its record says that the bytes were not kept. Nothing that is not expired is
// thrown out for a newcomer: whoever could fill the space could otherwise wipe the evidence.
#include "policy/store.hpp"
#include "scanner/core/source.hpp"

namespace hubgate {

class Quarantine {
public:
  struct Options {
    std::filesystem::path dir; ///< DATA/quarantine
    std::uint64_t max_bytes = std::uint64_t{10} << 30;
    std::chrono::hours keep{24 * 30};
  };

  Quarantine(Store& store, Options options) : store_(store), options_(std::move(options)) {}

  /// Copies the source's bytes, checking them against `record.sha256` and `record.size`, and writes
  /// the record with `kept` and `note` filled in (returned). Waits for the source. Only a failure
  /// to write the record is an error.
  Result<QuarantineRecord> keep(QuarantineRecord record, Source& bytes);
  Result<void> purge(const Sha256& sha256);
  /// Removes what is past its expiry and files without a record; returns how many objects.
  Result<std::size_t> purge_expired();
  std::filesystem::path file(const Sha256& sha256) const;

private:
  Store& store_;
  Options options_;
};

} // namespace hubgate
