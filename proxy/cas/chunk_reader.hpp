#pragma once
// ChunkReader: the chunks of a part, one behind the other. Of a chunk only its header of eight
// bytes is read here (xet::read_chunk_header, fuzzed); what is stored as it is needs nothing else,
// and what is compressed is decoded in a worker, many at a time. Whoever gets the chunks hashes
// them.
#include "proxy/cas/decoder.hpp"
#include "proxy/http/connection.hpp"

namespace hubgate::proxy {

class ChunkReader {
public:
  ChunkReader(Loop& loop, WorkerPool& pool);

  /// Other bytes follow, which begin with a chunk. Borrowed until the next begin().
  Task<bool> begin(BodySource& source);

  enum class Got {
    chunk,  ///< one, in `raw`
    end,    ///< the bytes end behind a whole chunk
    broken, ///< the source broke off: error() says why
    failed, ///< this is no xorb, or the worker is gone: error() says what is wrong
  };
  /// `raw` is valid until the next call.
  Task<Got> next(Bytes& raw);
  const std::string& error() const { return error_; }

private:
  Task<bool> fill(std::size_t bytes);
  bool start_run(std::size_t first);
  bool feed_run();
  Got fail(Got how, std::string why);

  Loop& loop_;
  WorkerPool& pool_;
  BodySource* source_ = nullptr;
  std::unique_ptr<Decoder> decoder_; ///< started at the first compressed chunk
  bool decoding_ = false;            ///< it has chunks that were not all taken
  bool source_failed_ = false;
  std::vector<std::uint8_t> buffer_;
  std::size_t at_ = 0;      ///< of what was not taken yet
  std::size_t end_ = 0;     ///< of what was received
  std::size_t run_end_ = 0; ///< what lies before it goes to the worker
  std::string error_;
};

} // namespace hubgate::proxy
