package services

import (
	"net"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
)

const (
	maxCoAPOptions = 32
	maxPath        = 256
	requestCodes   = 32 // RFC 7252, section 12.1.1: codes 0.01 to 0.31 are requests
)

// answerCoAP answers one datagram without remembering anything of it: RFC 7959 lets every
// block of an answer be asked for by itself, so a flood of transfers costs no memory.
func (u *Updates) answerCoAP(from net.Addr, in []byte) []byte {
	request := message.Message{Options: make(message.Options, 0, maxCoAPOptions)}
	if _, err := coder.DefaultCoder.Decode(in, &request); err != nil || len(request.Options) > maxCoAPOptions {
		return nil
	}
	switch {
	case request.Type == message.Acknowledgement || request.Type == message.Reset:
		return nil
	case request.Code == codes.Empty && request.Type == message.Confirmable:
		// A ping (RFC 7252, section 4.3).
		return encodeCoAP(message.Message{Type: message.Reset, MessageID: request.MessageID})
	case request.Code == codes.Empty || request.Code >= requestCodes:
		return nil
	}
	reply := u.replyCoAP(from, &request)
	reply.Token, reply.Type, reply.MessageID = request.Token, message.Acknowledgement, request.MessageID
	if request.Type == message.NonConfirmable {
		u.mu.Lock()
		u.id++
		reply.Type, reply.MessageID = message.NonConfirmable, int32(u.id)
		u.mu.Unlock()
	}
	return encodeCoAP(reply)
}

func (u *Updates) replyCoAP(from net.Addr, request *message.Message) message.Message {
	if request.Code != codes.GET {
		return message.Message{Code: codes.MethodNotAllowed}
	}
	for _, option := range request.Options {
		switch option.ID {
		case message.URIHost, message.URIPort, message.URIPath, message.URIQuery, message.Accept, message.Block2:
		default:
			if option.ID&1 == 1 { // critical (RFC 7252, section 5.4.6), and not understood here
				return message.Message{Code: codes.BadOption}
			}
		}
	}
	if format, err := request.Options.Accept(); err == nil && format != message.AppOctets {
		return message.Message{Code: codes.NotAcceptable}
	}
	o := u.find("coap", coapPath(request.Options), from)
	if o == nil {
		return message.Message{Code: codes.NotFound}
	}
	return o.block(request.Options)
}

// block answers with one block (RFC 7959, section 2.4), as large as the client asks for.
func (o *offer) block(options message.Options) message.Message {
	szx, number := blockwise.SZX1024, int64(0)
	if value, err := options.GetUint32(message.Block2); err == nil {
		if szx, number, _, err = blockwise.DecodeBlockOption(value); err != nil || szx > blockwise.SZX1024 {
			return message.Message{Code: codes.BadRequest}
		}
	}
	size := int64(16) << szx
	offset := number * size
	if offset > 0 && offset >= int64(len(o.image)) {
		return message.Message{Code: codes.BadRequest}
	}
	o.asked()
	end := min(offset+size, int64(len(o.image)))
	value, err := blockwise.EncodeBlockOption(szx, number, end < int64(len(o.image)))
	if err != nil {
		return message.Message{Code: codes.BadRequest}
	}
	reply := message.Message{Code: codes.Content, Payload: o.image[offset:end]}
	reply.Options = reply.Options.Add(message.Option{ID: message.ETag, Value: o.tag[:]})
	reply.Options = addUint(reply.Options, message.ContentFormat, uint32(message.AppOctets))
	reply.Options = addUint(reply.Options, message.Block2, value)
	if number == 0 {
		reply.Options = addUint(reply.Options, message.Size2, uint32(len(o.image)))
	}
	o.gave(int(offset), int(end-offset))
	return reply
}

// coapPath joins the segments of the path; empty for one that no offer has.
func coapPath(options message.Options) string {
	var parts []string
	length := 0
	for _, option := range options {
		if option.ID == message.URIPath {
			length += len(option.Value) + 1
			if length > maxPath {
				return ""
			}
			parts = append(parts, string(option.Value))
		}
	}
	return strings.Join(parts, "/")
}

func addUint(options message.Options, id message.OptionID, value uint32) message.Options {
	buf := make([]byte, 4)
	n, err := message.EncodeUint32(buf, value)
	if err != nil {
		return options
	}
	return options.Add(message.Option{ID: id, Value: buf[:n]})
}

func encodeCoAP(m message.Message) []byte {
	size, err := coder.DefaultCoder.Size(m)
	if err != nil {
		return nil
	}
	out := make([]byte, size)
	n, err := coder.DefaultCoder.Encode(m, out)
	if err != nil {
		return nil
	}
	return out[:n]
}
