#include "scanner/worker/object_service.hpp"

#include "scanner/gitstore/loose.hpp"
#include "scanner/gitstore/pack_indexer.hpp"
#include "scanner/worker/mapped_file.hpp"
#include "scanner/worker/object_frames.hpp"
#include "scanner/worker/spool.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

namespace hubgate {
namespace {

using object_frames::AnswerHead;
using object_frames::Question;

/// Answers are written in portions of this size.
constexpr std::size_t k_portion = std::size_t{64} << 10;

class FileScratch final : public git::Scratch {
public:
  explicit FileScratch(Fd file) : file_(std::move(file)) {}
  void clear() override { size_ = 0; }
  bool append(Bytes bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      size_ += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return true;
  }
  bool read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    while (!out.empty()) {
      const ssize_t n = pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      offset += static_cast<std::uint64_t>(n);
      out = out.subspan(static_cast<std::size_t>(n));
    }
    return true;
  }

private:
  Fd file_;
  std::uint64_t size_ = 0;
};

class ObjectService {
public:
  ObjectService(int questions, int answers, std::size_t id_size)
      : questions_(questions), answers_(answers) {
    options_.id_size = id_size;
  }

  void run() {
    while (receive()) {
      answer();
      flush();
    }
  }

private:
  struct Pack {
    std::unique_ptr<MappedFile> pack;
    std::unique_ptr<MappedFile> index_file;
    std::unique_ptr<git::PackIndex> index;
    std::unique_ptr<git::PackReader> reader;
    std::string problem; ///< why there is no reader
  };

  bool receive() {
    constexpr std::size_t k_files = 2;
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(int) * k_files)> control{};
    iovec part{&question_, sizeof question_};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t n = 0;
    do {
      n = recvmsg(questions_, &header, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    files_.clear();
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      for (std::size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
        files_.emplace_back(fd);
      }
    }
    return n >= static_cast<ssize_t>(object_frames::k_short_question);
  }

  void answer() {
    switch (question_.kind) {
    case Question::add_pack:
      if (files_.size() == 2) packs_.push_back(open_pack());
      return;
    case Question::add_scratch:
      if (files_.size() != 2) return;
      scratch_ = std::make_unique<FileScratch>(std::move(files_[0]));
      other_scratch_ = std::make_unique<FileScratch>(std::move(files_[1]));
      options_.scratch = scratch_.get();
      options_.other_scratch = other_scratch_.get();
      return;
    case Question::read:
      for (std::size_t i = 0; i < std::min<std::size_t>(question_.count, Question::k_items); ++i)
        read(question_.items[i]);
      return;
    case Question::read_loose:
      read_loose();
      return;
    case Question::stream:
      stream(question_.items[0]);
      return;
    case Question::stream_loose:
      stream_loose();
      return;
    case Question::make_index:
      make_index();
      return;
    }
  }

  Pack open_pack() {
    Pack out;
    out.pack = MappedFile::map(files_[0].get(), question_.first);
    out.index_file = MappedFile::map(files_[1].get(), question_.second);
    if (out.pack == nullptr || out.index_file == nullptr) {
      out.problem = "a pack can't be mapped";
      return out;
    }
    auto index = git::PackIndex::open(out.index_file->all(), options_.id_size);
    if (!index) {
      out.problem = index.error().message;
      return out;
    }
    out.index = std::make_unique<git::PackIndex>(*index);
    auto reader = git::PackReader::open(*out.pack, out.index.get(), options_);
    if (reader)
      out.reader = std::move(*reader);
    else
      out.problem = reader.error().message;
    return out;
  }

  git::PackReader* reader_of(const Question::Item& item) {
    if (item.pack >= packs_.size()) {
      fail("a pack that was never given");
      return nullptr;
    }
    Pack& pack = packs_[item.pack];
    if (pack.reader == nullptr) fail(pack.problem);
    return pack.reader.get();
  }

  void read(const Question::Item& item) {
    git::PackReader* reader = reader_of(item);
    if (reader == nullptr) return;
    const auto object = reader->read(item.offset, item.most);
    if (!object) return fail(object.error().message);
    if (object->bytes == nullptr) return left_out(object->header);
    whole(object->header, *object->bytes);
  }

  void read_loose() {
    const auto file =
        files_.empty() ? nullptr : MappedFile::map(files_.front().get(), question_.first);
    if (file == nullptr) return fail("a loose object can't be mapped");
    const auto header = git::loose_header(*file);
    if (!header) return fail(header.error().message);
    if (header->size > std::min(question_.second, options_.memory)) return left_out(*header);
    std::vector<std::uint8_t> bytes;
    const auto done = git::stream_loose(*file, [&](Bytes piece) {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
      return true;
    });
    if (!done) return fail(done.error().message);
    whole(*header, bytes);
  }

  void stream(const Question::Item& item) {
    git::PackReader* reader = reader_of(item);
    if (reader == nullptr) return;
    const auto header = reader->header(item.offset);
    if (!header) return fail(header.error().message);
    begin(*header);
    finish(reader->stream(item.offset, [this](Bytes bytes) { return piece(bytes); }));
  }

  void stream_loose() {
    const auto file =
        files_.empty() ? nullptr : MappedFile::map(files_.front().get(), question_.first);
    if (file == nullptr) return fail("a loose object can't be mapped");
    const auto header = git::loose_header(*file);
    if (!header) return fail(header.error().message);
    begin(*header);
    finish(git::stream_loose(*file, [this](Bytes bytes) { return piece(bytes); }));
  }

  void make_index() {
    const auto pack =
        files_.size() == 2 ? MappedFile::map(files_[0].get(), question_.first) : nullptr;
    if (pack == nullptr) return fail("a pack can't be mapped");
    const auto most = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(question_.second, std::numeric_limits<std::uint32_t>::max()));
    const auto index = git::index_pack(*pack, options_, most);
    if (!index) return fail(index.error().message);
    const auto made = git::PackIndex::open(*index, options_.id_size);
    FileScratch out(std::move(files_[1]));
    if (!made || !out.append(*index)) return fail("the index of the pack can't be written");
    put({AnswerHead::end, 0, made->count(), 0}, {});
  }

  void fail(std::string_view why) {
    why = why.substr(0, object_frames::k_message_max);
    put({AnswerHead::failed, 0, 0, why.size()}, as_bytes(why));
  }
  void left_out(const git::ObjectHeader& header) {
    put({AnswerHead::left_out, static_cast<std::uint32_t>(header.kind), header.size, 0}, {});
  }
  void whole(const git::ObjectHeader& header, Bytes bytes) {
    put({AnswerHead::whole, static_cast<std::uint32_t>(header.kind), header.size, bytes.size()},
        bytes);
  }
  void begin(const git::ObjectHeader& header) {
    put({AnswerHead::begin, static_cast<std::uint32_t>(header.kind), header.size, 0}, {});
  }
  bool piece(Bytes bytes) {
    for (; bytes.size() > object_frames::k_piece_max;
         bytes = bytes.subspan(object_frames::k_piece_max))
      put({AnswerHead::piece, 0, 0, object_frames::k_piece_max},
          bytes.first(object_frames::k_piece_max));
    put({AnswerHead::piece, 0, 0, bytes.size()}, bytes);
    return true;
  }
  void finish(const Result<void>& done) {
    if (!done) return fail(done.error().message);
    put({AnswerHead::end, 0, 0, 0}, {});
  }

  void put(const AnswerHead& head, Bytes bytes) {
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&head);
    out_.insert(out_.end(), raw, raw + sizeof head);
    if (bytes.size() >= k_portion) {
      flush();
      write_all(bytes);
      return;
    }
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    if (out_.size() >= k_portion) flush();
  }
  void flush() {
    write_all(out_);
    out_.clear();
  }
  void write_all(Bytes bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = write(answers_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) _exit(0); // nobody listens any more
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }

  int questions_;
  int answers_;
  git::PackReader::Options options_;
  Question question_;
  std::vector<Fd> files_; ///< that came with the question
  std::vector<Pack> packs_;
  std::unique_ptr<FileScratch> scratch_;
  std::unique_ptr<FileScratch> other_scratch_;
  std::vector<std::uint8_t> out_;
};

} // namespace

void serve_objects(int questions, int answers, std::size_t id_size) {
  ObjectService(questions, answers, id_size).run();
}

} // namespace hubgate
