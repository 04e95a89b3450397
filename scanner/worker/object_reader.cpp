// The gate's side of the process that reads Git's objects: nothing that it says is believed but by
// its length.
#include "scanner/worker/object_reader.hpp"

#include "scanner/core/evidence.hpp"
#include "scanner/worker/object_frames.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace hubgate {
namespace {

using object_frames::AnswerHead;
using object_frames::Question;

constexpr std::size_t k_buffer = std::size_t{256} << 10;
constexpr int k_pipe = 1 << 20;
/// Between two pieces of an answer lies at most the making of a large base.
constexpr int k_silence_ms = 600'000;
/// For all objects of a push: what takes longer is refused by the hook's own limits before.
constexpr double k_cpu_seconds = 7200;
constexpr std::uint64_t k_memory = std::uint64_t{192} << 20;

Error system_error(std::string_view what) {
  return Error{std::string(what) + ": " + std::strerror(errno)};
}

Result<std::uint64_t> size_of(int file) {
  struct stat info{};
  if (fstat(file, &info) != 0) return system_error("can't look at a file of objects");
  if (!S_ISREG(info.st_mode) || info.st_size <= 0) return Error{"a file of objects is empty"};
  return static_cast<std::uint64_t>(info.st_size);
}

} // namespace

Result<std::unique_ptr<ObjectReader>> ObjectReader::start(WorkerPool& pool, std::size_t id_size) {
  std::unique_ptr<ObjectReader> out(new ObjectReader);
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return system_error("the reader of objects");
  out->questions_ = Fd(pair[0]);
  const Fd theirs(pair[1]);
  if (pipe2(pair.data(), O_CLOEXEC) != 0) return system_error("the reader of objects");
  out->answers_ = Fd(pair[0]);
  const Fd answers_end(pair[1]);
  fcntl(pair[0], F_SETFL, O_NONBLOCK);
  (void)fcntl(pair[0], F_SETPIPE_SZ, k_pipe); // fewer, longer turns; the usual size does as well
  Limits limits;
  limits.cpu_seconds = k_cpu_seconds;
  limits.memory = k_memory;
  out->job_ =
      HUBGATE_TRY(pool.submit_object_reader(theirs.get(), answers_end.get(), id_size, limits));
  out->buffer_.resize(k_buffer);
  return out;
}

Result<void> ObjectReader::send(const void* question, std::size_t size,
                                std::span<const int> files) {
  constexpr std::size_t k_files = 2;
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(int) * k_files)> control{};
  iovec part{const_cast<void*>(question), size};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!files.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(files.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(files.size_bytes());
    std::memcpy(CMSG_DATA(rights), files.data(), files.size_bytes());
  }
  while (sendmsg(questions_.get(), &header, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return gone();
  return {};
}

// Why the process ended; its worker's answer says so.
Error ObjectReader::gone() {
  AnswerReader reader;
  std::array<std::uint8_t, 4096> bytes{};
  pollfd ready{job_.answer_fd(), POLLIN, 0};
  while (poll(&ready, 1, 1000) > 0) {
    const ssize_t n = ::read(job_.answer_fd(), bytes.data(), bytes.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) break;
    reader.feed(Bytes(bytes).first(static_cast<std::size_t>(n)));
  }
  reader.end();
  const std::string why = !reader.complaint().empty()    ? reader.complaint()
                          : reader.report().gaps.empty() ? std::string("it ended")
                                                         : reader.report().gaps.front().detail;
  return Error{"the reader of Git's objects is gone: " + why};
}

Result<std::uint32_t> ObjectReader::add_pack(int pack, int index) {
  Question question;
  question.kind = Question::add_pack;
  question.first = HUBGATE_TRY(size_of(pack));
  question.second = HUBGATE_TRY(size_of(index));
  const std::array<int, 2> files{pack, index};
  if (auto sent = send(&question, object_frames::k_short_question, files); !sent)
    return sent.error();
  return packs_++;
}

Result<void> ObjectReader::add_scratch(int one, int other) {
  Question question;
  question.kind = Question::add_scratch;
  const std::array<int, 2> files{one, other};
  return send(&question, object_frames::k_short_question, files);
}

namespace {

AnswerHead head_from(const std::uint8_t* bytes) {
  AnswerHead out;
  std::memcpy(&out, bytes, sizeof out);
  return out;
}

Error broken_answer() {
  return Error{"the reader of Git's objects gave an answer that is none"};
}

} // namespace

Result<std::uint32_t> ObjectReader::make_index(int pack, int index, std::uint32_t most) {
  Question question;
  question.kind = Question::make_index;
  question.first = HUBGATE_TRY(size_of(pack));
  question.second = most;
  const std::array<int, 2> files{pack, index};
  if (auto sent = send(&question, object_frames::k_short_question, files); !sent)
    return sent.error();
  if (auto filled = fill(sizeof(AnswerHead)); !filled) return filled.error();
  const AnswerHead head = head_from(buffer_.data() + at_);
  at_ += sizeof head;
  if (head.length > object_frames::k_message_max || head.size > most) return broken_answer();
  if (auto filled = fill(static_cast<std::size_t>(head.length)); !filled) return filled.error();
  const Bytes bytes = Bytes(buffer_).subspan(at_, static_cast<std::size_t>(head.length));
  at_ += bytes.size();
  if (head.state == AnswerHead::failed) return Error{printable(as_text(bytes), 300)};
  if (head.state != AnswerHead::end) return broken_answer();
  return static_cast<std::uint32_t>(head.size);
}

Result<void> ObjectReader::ask(std::span<const ObjectPlace> places, std::uint64_t most) {
  while (!places.empty()) {
    Question question;
    question.kind = Question::read;
    question.count = static_cast<std::uint32_t>(std::min(places.size(), Question::k_items));
    for (std::size_t i = 0; i < question.count; ++i) {
      question.items[i] = {places[i].pack, places[i].offset, most};
      asked_.push_back(most);
    }
    const std::size_t size =
        object_frames::k_short_question + question.count * sizeof(Question::Item);
    if (auto sent = send(&question, size, {}); !sent) return sent;
    places = places.subspan(question.count);
  }
  return {};
}

Result<void> ObjectReader::ask_loose(int file, std::uint64_t most) {
  Question question;
  question.kind = Question::read_loose;
  question.first = HUBGATE_TRY(size_of(file));
  question.second = most;
  asked_.push_back(most);
  return send(&question, object_frames::k_short_question, {&file, 1});
}

// Receives until `bytes` are there behind at_.
Result<void> ObjectReader::fill(std::size_t bytes) {
  while (end_ - at_ < bytes) {
    if (at_ != 0 && (at_ == end_ || buffer_.size() - at_ < bytes)) {
      std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
      end_ -= at_;
      at_ = 0;
    }
    if (buffer_.size() < bytes) buffer_.resize(bytes);
    const ssize_t n = ::read(answers_.get(), buffer_.data() + end_, buffer_.size() - end_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd ready{answers_.get(), POLLIN, 0};
      if (poll(&ready, 1, k_silence_ms) == 0)
        return Error{"the reader of Git's objects does not answer"};
      continue;
    }
    if (n <= 0) return gone();
    end_ += static_cast<std::size_t>(n);
  }
  return {};
}

Result<ObjectReader::Answer> ObjectReader::answer() {
  if (asked_.empty()) return Error{"nothing was asked of the reader of Git's objects"};
  if (auto filled = fill(sizeof(AnswerHead)); !filled) return filled.error();
  const AnswerHead head = head_from(buffer_.data() + at_);
  const std::uint64_t most = asked_.front();
  asked_.pop_front();
  const bool whole = head.state == AnswerHead::whole;
  if (head.kind > static_cast<std::uint32_t>(git::Kind::tag) ||
      (whole ? head.length != head.size || head.length > most
             : head.length > object_frames::k_message_max))
    return broken_answer();
  at_ += sizeof head;
  if (auto filled = fill(static_cast<std::size_t>(head.length)); !filled) return filled.error();
  Answer out;
  out.header = {static_cast<git::Kind>(head.kind), head.size};
  out.bytes = Bytes(buffer_).subspan(at_, static_cast<std::size_t>(head.length));
  at_ += static_cast<std::size_t>(head.length);
  if (head.state == AnswerHead::failed) return Error{printable(as_text(out.bytes), 300)};
  out.left_out = head.state == AnswerHead::left_out;
  if (!whole && !out.left_out) return broken_answer();
  return out;
}

Result<void> ObjectReader::receive_stream(const Begin& begin, const Sink& sink) {
  bool begun = false;
  std::uint64_t left = 0;
  while (true) {
    if (auto filled = fill(sizeof(AnswerHead)); !filled) return filled.error();
    const AnswerHead head = head_from(buffer_.data() + at_);
    at_ += sizeof head;
    if (head.length > object_frames::k_piece_max ||
        head.kind > static_cast<std::uint32_t>(git::Kind::tag))
      return broken_answer();
    if (auto filled = fill(static_cast<std::size_t>(head.length)); !filled) return filled.error();
    const Bytes bytes = Bytes(buffer_).subspan(at_, static_cast<std::size_t>(head.length));
    at_ += bytes.size();
    if (head.state == AnswerHead::failed) return Error{printable(as_text(bytes), 300)};
    if (head.state == AnswerHead::begin && !begun) {
      begun = true;
      left = head.size;
      begin({static_cast<git::Kind>(head.kind), head.size});
    } else if (head.state == AnswerHead::piece && begun && bytes.size() <= left) {
      left -= bytes.size();
      if (auto taken = sink(bytes); !taken) return taken;
    } else if (head.state == AnswerHead::end && begun && left == 0) {
      return {};
    } else {
      return broken_answer();
    }
  }
}

Result<void> ObjectReader::stream(const ObjectPlace& place, const Begin& begin, const Sink& sink) {
  Question question;
  question.kind = Question::stream;
  question.count = 1;
  question.items[0] = {place.pack, place.offset, 0};
  const std::size_t size = object_frames::k_short_question + sizeof(Question::Item);
  if (auto sent = send(&question, size, {}); !sent) return sent;
  return receive_stream(begin, sink);
}

Result<void> ObjectReader::stream_loose(int file, const Begin& begin, const Sink& sink) {
  Question question;
  question.kind = Question::stream_loose;
  question.first = HUBGATE_TRY(size_of(file));
  if (auto sent = send(&question, object_frames::k_short_question, {&file, 1}); !sent) return sent;
  return receive_stream(begin, sink);
}

} // namespace hubgate
