package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protowire"
)

const method = "/fairlead.agent.v1.AgentService/Changes"

// Field numbers of api/fairlead/agent/v1/agent.proto: the sinks of the suite know these messages.
const (
	changesUpOpen, changesUpBatch = 1, 2
	openSessionID                 = 1
	batchCodec, batchPayload      = 6, 8
	codecNone                     = 1
)

// Messages are encoded already.
type encoded struct{}

func (encoded) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (encoded) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
func (encoded) Name() string                       { return "proto" }

type uplink struct {
	stream grpc.ClientStream
}

func dial(ctx context.Context, sink, ca, identity, serverName string) (*uplink, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(identity, "tls.crt"), filepath.Join(identity, "tls.key"))
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	secure := credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: serverName})
	connection, err := grpc.NewClient(sink, grpc.WithTransportCredentials(secure))
	if err != nil {
		return nil, err
	}
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, grpc.ForceCodec(encoded{}))
	if err != nil {
		return nil, err
	}
	open := field(nil, changesUpOpen, field(nil, openSessionID, []byte("rival")))
	return &uplink{stream}, stream.SendMsg(&open)
}

// Sends each event as one message until ctx ends or the stream breaks.
func (up *uplink) run(ctx context.Context, events <-chan event) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case one := <-events:
			message, err := one.message()
			if err != nil {
				return err
			}
			if err := up.stream.SendMsg(&message); err != nil {
				return err
			}
		}
	}
}

func field(to []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), value)
}

// ChangesUp{Batch{codec: NONE, payload}}; the payload is that of bench/floor_frame.h, with one event.
func (e event) message() ([]byte, error) {
	body, err := e.encode()
	if err != nil {
		return nil, err
	}
	payload := make([]byte, 0, len(body)+256)
	for _, text := range []string{e.kind, e.object.GetNamespace(), e.object.GetName(), string(e.object.GetUID()), e.object.GetResourceVersion()} {
		payload = append(binary.LittleEndian.AppendUint32(payload, uint32(len(text))), text...)
	}
	payload = append(binary.LittleEndian.AppendUint32(payload, uint32(len(body))), body...)
	batch := make([]byte, 0, len(payload)+16)
	batch = protowire.AppendVarint(protowire.AppendTag(batch, batchCodec, protowire.VarintType), codecNone)
	batch = field(batch, batchPayload, payload)
	return field(make([]byte, 0, len(batch)+8), changesUpBatch, batch), nil
}
