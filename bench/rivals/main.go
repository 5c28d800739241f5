// What most teams would write instead of fairlead-agent: a client-go informer on pods whose events go to a sink, each as one
// gRPC message over mTLS. docs/benchmarks.md says what it stands for (R1a, R1b) and what it leaves out: no acks, no resume,
// no compression, no redaction of values, no coalescing.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"
)

// Events between the informer's handler and the uplink; a handler that waits holds up the informer's own buffer, which grows.
const queued = 1024

func main() {
	mode := flag.String("mode", "dynamic", "dynamic: unstructured objects, sent as JSON; typed: corev1.Pod, sent as protobuf")
	kubeconfig := flag.String("kubeconfig", "", "of the API server")
	sink := flag.String("sink", "", "host:port")
	ca := flag.String("ca", "", "file: who signed the sink's certificate")
	identity := flag.String("identity", "", "folder with tls.crt and tls.key, the client's at the sink")
	serverName := flag.String("server-name", "localhost", "in the sink's certificate")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	up, err := dial(ctx, *sink, *ca, *identity, *serverName)
	if err != nil {
		log.Fatal(err)
	}
	events := make(chan event, queued)
	switch *mode {
	case "dynamic":
		err = watchDynamic(ctx, config, events)
	case "typed":
		err = watchTyped(ctx, config, events)
	default:
		log.Fatalf("unknown mode %q", *mode)
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := up.run(ctx, events); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}
