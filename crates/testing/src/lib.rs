//! wsduo
