#pragma once
// The server's own LFS batch API (git-lfs docs/api/batch.md): asks where an object can be fetched,
// as a client would, and fetches it.
#include "hook/lfs/web.hpp"

namespace hubgate {

/// Where an answer says that the object is.
struct LfsDownload {
  bool absent = false;
  std::string href;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Reads the answer about one object. An error when it is none about it, or says of it anything but
/// a link or that it is not there.
Result<LfsDownload> read_batch_answer(std::string_view json, std::string_view oid);

class LfsBatch : public LfsSource {
public:
  LfsBatch(LfsSourceConfig config, LfsWorld world, std::string repo_id, std::uint64_t max_size);
  std::string name() const override;
  Result<Judge::Fetched> fetch(const LfsWanted& wanted) override;

private:
  Result<std::vector<std::pair<std::string, std::string>>> authorization() const;

  LfsSourceConfig config_;
  LfsWorld world_;
  std::string url_; ///< with the repository in it
  std::uint64_t max_size_;
  HttpClient client_;
};

} // namespace hubgate
