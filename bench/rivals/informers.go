package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// One object as the informer told of it. `encode` gives the bytes to send.
type event struct {
	kind   string // ADDED, MODIFIED, DELETED
	object metav1.Object
	encode func() ([]byte, error)
}

// What the agent cuts as well; it is a quarter of the memory and half of the bytes.
func strip(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

func watchDynamic(ctx context.Context, config *rest.Config, events chan<- event) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	informer := factory.ForResource(corev1.SchemeGroupVersion.WithResource("pods")).Informer()
	return follow(ctx, informer, events, func(object any) ([]byte, error) {
		return object.(*unstructured.Unstructured).MarshalJSON()
	})
}

func watchTyped(ctx context.Context, config *rest.Config, events chan<- event) error {
	config = rest.CopyConfig(config)
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON // the replay server has JSON only
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	informer := informers.NewSharedInformerFactory(client, 0).Core().V1().Pods().Informer()
	return follow(ctx, informer, events, func(object any) ([]byte, error) { return object.(*corev1.Pod).Marshal() })
}

// Runs the informer and gives its events until ctx ends.
func follow(ctx context.Context, informer cache.SharedIndexInformer, events chan<- event, encode func(any) ([]byte, error)) error {
	if err := informer.SetTransform(strip); err != nil {
		return err
	}
	give := func(kind string, object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		select {
		case events <- event{kind, object.(metav1.Object), func() ([]byte, error) { return encode(object) }}:
		case <-ctx.Done():
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { give("ADDED", object) },
		UpdateFunc: func(_, object any) { give("MODIFIED", object) },
		DeleteFunc: func(object any) { give("DELETED", object) },
	})
	if err != nil {
		return err
	}
	go informer.Run(ctx.Done())
	return nil
}
